-- KEYS: the revocation of a session. ARGV: now, grace, attempt, the time until which the revocation is kept.
-- Answers REVOKED, also to a repetition of the attempt that revoked the session. Otherwise answers ALREADY_REVOKED.
local now, _, attempt, keepUntil = unpack(ARGV)
local r, a = unpack(redis.call('HMGET', KEYS[1], 'r', 'a'))
if not r then
  redis.call('HSET', KEYS[1], 'r', now, 'a', attempt)
end
keep(KEYS[1], not r, keepUntil, now)
return {(not r or a == attempt) and 'REVOKED' or 'ALREADY_REVOKED'}
