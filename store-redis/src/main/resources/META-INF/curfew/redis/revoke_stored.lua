-- KEYS: the record that an entry of a subject's index names. ARGV: now, grace, attempt, subject, expires by the index.
-- Answers REVOKED, also to a repetition of the attempt that revoked; GONE if it is revoked already; OTHER if it is not
-- the subject's, or expired, or no record at all.
local now, grace, attempt, subject, expires = unpack(ARGV)
local fields = redis.pcall('HMGET', KEYS[1], 'e', 's', 'r', 'a')
if fields.err then
  if string.find(fields.err, 'WRONGTYPE') then
    return {'OTHER'}
  end
  return fields
end
local e, s, r, a = unpack(fields)
if not e then
  -- A store that is on its way, or has failed: it has written its entry, and not yet the record. It shall find it revoked.
  redis.call('HSET', KEYS[1], 's', subject, 'p', 'revocation', 'e', expires, 'c', now, 'u', now, 'r', now)
  keep(KEYS[1], true, expires + grace, now)
  return {'GONE'}
elseif s ~= subject then
  return {'OTHER'}
elseif r then
  return {a == attempt and 'REVOKED' or 'GONE'}
elseif tonumber(e) <= tonumber(now) then
  return {'OTHER'}
end
redis.call('HSET', KEYS[1], 'r', now, 'u', now, 'a', attempt)
keep(KEYS[1], false, e + grace, now)
return {'REVOKED'}
