-- KEYS: the record. ARGV: subject or '', issued or '', expires, keep until, now, grace, attempt.
-- Answers REVOKED, also to a repetition of the attempt that revoked, or ALREADY_REVOKED.
local subject, issued, expires, keepUntil, now, grace, attempt = unpack(ARGV)
local e, r, a = unpack(redis.call('HMGET', KEYS[1], 'e', 'r', 'a'))
local left = redis.call('PTTL', KEYS[1])
if not e then
  redis.call('HSET', KEYS[1], 'p', 'revocation', 'e', expires, 'c', now, 'u', now, 'r', now, 'a', attempt)
  if subject ~= '' then
    redis.call('HSET', KEYS[1], 's', subject)
  end
  if issued ~= '' then
    redis.call('HSET', KEYS[1], 'i', issued)
  end
  keep(KEYS[1], left, expires + grace - now)
  return {'REVOKED'}
end
local longer = tonumber(keepUntil) > tonumber(e)
if longer then
  e = keepUntil
end
if longer or not r then
  redis.call('HSET', KEYS[1], 'e', e, 'u', now)
end
if not r then
  redis.call('HSET', KEYS[1], 'r', now, 'a', attempt)
end
keep(KEYS[1], left, e + grace - now)
return {(not r or a == attempt) and 'REVOKED' or 'ALREADY_REVOKED'}
