-- KEYS: the record. ARGV: subject or '', issued or '', expires, keep until, now, grace, attempt.
-- Answers REVOKED, also to a repetition of the attempt that revoked, or ALREADY_REVOKED.
local subject, issued, expires, keepUntil, now, grace, attempt = unpack(ARGV)
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
  keep(KEYS[1], -2, expires + grace, now)
  return {'REVOKED'}
end
local left = redis.call('PTTL', KEYS[1])
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
keep(KEYS[1], left, e + grace, now)
return {(not r or a == attempt) and 'REVOKED' or 'ALREADY_REVOKED'}
