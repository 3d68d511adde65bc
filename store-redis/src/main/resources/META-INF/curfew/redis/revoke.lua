-- KEYS: the record, the stream of its partition. ARGV: now, grace, attempt, subject or '', issued or '', expires,
-- session or '', keep until.
-- Answers REVOKED, also to a repetition of the attempt that revoked the record. Otherwise answers ALREADY_REVOKED.
local now, grace, attempt, subject, issued, expires, session, keepUntil = unpack(ARGV)
local e, r, a = unpack(redis.call('HMGET', KEYS[1], 'e', 'r', 'a'))
if not e then
  local fields = {'p', 'revocation', 'e', expires, 'c', now, 'u', now, 'r', now, 'a', attempt}
  for field, value in pairs({s = subject, i = issued, g = session}) do
    if value ~= '' then
      table.insert(fields, field)
      table.insert(fields, value)
    end
  end
  tell(expires)
  redis.call('HSET', KEYS[1], unpack(fields))
  keep(KEYS[1], true, expires + grace, now)
  return {'REVOKED'}
end
local longer = tonumber(keepUntil) > tonumber(e)
if longer then
  e = keepUntil
end
if not r then
  tell(e)
  redis.call('HSET', KEYS[1], 'e', e, 'u', now, 'r', now, 'a', attempt)
elseif longer then
  tell(e)
  redis.call('HSET', KEYS[1], 'e', e, 'u', now)
end
keep(KEYS[1], false, e + grace, now)
return {(not r or a == attempt) and 'REVOKED' or 'ALREADY_REVOKED'}
