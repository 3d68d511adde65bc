-- KEYS: the revocation of a session, the stream of its partition. ARGV: now, grace, attempt, keep until.
-- Answers REVOKED, also to a repetition of the attempt that revoked the session. Otherwise answers ALREADY_REVOKED.
local now, grace, attempt, keepUntil = unpack(ARGV)
local e, r, a = unpack(redis.call('HMGET', KEYS[1], 'e', 'r', 'a'))
if not r or tonumber(keepUntil) > tonumber(e) then
  tell(keepUntil)
  redis.call('HSET', KEYS[1], 'e', keepUntil, 'r', r or now, 'a', a or attempt)
end
keep(KEYS[1], not r, keepUntil + grace, now)
return {(not r or a == attempt) and 'REVOKED' or 'ALREADY_REVOKED'}
