-- KEYS: what was changed. ARGV: '' for a record that was revoked, 'index', or the watermark that was set.
-- Writes it once more, so that a WAIT behind it waits for it; answers LOST where it is not there, as after a failover.
local what = ARGV[1]
if what == 'index' then
  local left = redis.call('PTTL', KEYS[1])
  if left == -2 then
    return {'LOST'}
  elseif left > 0 then
    redis.call('PEXPIRE', KEYS[1], left)
  end
elseif what == '' then
  local r = redis.call('HMGET', KEYS[1], 'r')[1]
  if not r then
    return {'LOST'}
  end
  redis.call('HSET', KEYS[1], 'r', r)
else
  local at = redis.call('GET', KEYS[1])
  if not at or tonumber(at) < tonumber(what) then
    return {'LOST'}
  end
  redis.call('SET', KEYS[1], at, 'KEEPTTL')
end
return {'THERE'}
