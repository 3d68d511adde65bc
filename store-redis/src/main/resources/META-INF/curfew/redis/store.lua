-- KEYS: the record. ARGV: subject, purpose, issued or '', expires, extra data or '', now, grace.
-- Answers MISMATCH, REVOKED or STORED.
local subject, purpose, issued, expires, data, now, grace = unpack(ARGV)
local e, s, r = unpack(redis.call('HMGET', KEYS[1], 'e', 's', 'r'))
if e and s and s ~= subject then
  return {'MISMATCH'}
elseif e and r then
  return {'REVOKED'}
end
local left = redis.call('PTTL', KEYS[1])
redis.call('HSET', KEYS[1], 's', subject, 'p', purpose, 'e', expires, 'u', now)
redis.call('HSETNX', KEYS[1], 'c', now)
for field, value in pairs({i = issued, d = data}) do
  if value ~= '' then
    redis.call('HSET', KEYS[1], field, value)
  elseif e then
    redis.call('HDEL', KEYS[1], field)
  end
end
keep(KEYS[1], left, expires + grace - now)
return {'STORED'}
