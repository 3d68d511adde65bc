-- KEYS: what was changed. ARGV: 'record' and the expiry that it has at the least, 'watermark' and the time that it is at the
-- least, or 'index', the score that an entry has at the least, and its jti.
-- Writes it once more, so that a WAIT behind it waits for it; answers LOST where it is not there, as after a failover.
local what, least, jti = unpack(ARGV)
least = tonumber(least)
if what == 'index' then
  local score = redis.call('ZSCORE', KEYS[1], jti)
  if not score or tonumber(score) < least then
    return {'LOST'}
  end
  local left = redis.call('PTTL', KEYS[1])
  if left > 0 then
    redis.call('PEXPIRE', KEYS[1], left)
  end
elseif what == 'record' then
  local e, r = unpack(redis.call('HMGET', KEYS[1], 'e', 'r'))
  if not r or tonumber(e) < least then
    return {'LOST'}
  end
  redis.call('HSET', KEYS[1], 'r', r)
else
  local at = redis.call('GET', KEYS[1])
  if not at or tonumber(at) < least then
    return {'LOST'}
  end
  redis.call('SET', KEYS[1], at, 'KEEPTTL')
end
return {'THERE'}
