-- KEYS: the record. ARGV: now, grace, attempt, subject or '', issued or '', expires, keep until.
-- Answers REVOKED, also to a repetition of the attempt that revoked the record. Otherwise answers ALREADY_REVOKED.
local now, grace, attempt, subject, issued, expires, keepUntil = unpack(ARGV)
local e, r, a = unpack(redis.call('HMGET', KEYS[1], 'e', 'r', 'a'))
if not e then
  local fields = {'p', 'revocation', 'e', expires, 'c', now, 'u', now, 'r', now, 'a', attempt}
  if subject ~= '' then
    table.insert(fields, 's')
    table.insert(fields, subject)
  end
  if issued ~= '' then
    table.insert(fields, 'i')
    table.insert(fields, issued)
  end
  redis.call('HSET', KEYS[1], unpack(fields))
  keep(KEYS[1], true, expires + grace, now)
  return {'REVOKED'}
end
local longer = tonumber(keepUntil) > tonumber(e)
if longer then
  e = keepUntil
end
if not r then
  redis.call('HSET', KEYS[1], 'e', e, 'u', now, 'r', now, 'a', attempt)
elseif longer then
  redis.call('HSET', KEYS[1], 'e', e, 'u', now)
end
keep(KEYS[1], false, e + grace, now)
return {(not r or a == attempt) and 'REVOKED' or 'ALREADY_REVOKED'}
