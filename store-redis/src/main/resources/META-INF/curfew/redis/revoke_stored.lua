-- KEYS: the record that an entry of a subject's index names, the stream of its partition. ARGV: now, grace, attempt,
-- subject, expires by the index.
-- Answers REVOKED, also to a repetition of the attempt that revoked the record; GONE if the record was revoked before,
-- or if there was none; OTHER if it is another subject's, or expired, or if the key has another type.
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
  -- A call has written the entry, and not yet the record, or it has failed in between. If the record is stored later,
  -- it must be revoked already.
  tell(expires)
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
tell(e)
redis.call('HSET', KEYS[1], 'r', now, 'u', now, 'a', attempt)
keep(KEYS[1], false, e + grace, now)
return {'REVOKED'}
