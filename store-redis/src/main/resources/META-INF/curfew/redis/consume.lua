-- KEYS: the record. ARGV: now, grace, attempt, subject or '', purpose.
-- Answers CONSUMED and the fields of the record, also to a repetition of the attempt that consumed it, or why not.
local now, grace, attempt, subject, purpose = unpack(ARGV)
local record = redis.call('HGETALL', KEYS[1])
local field = {}
for i = 1, #record, 2 do
  field[record[i]] = record[i + 1]
end
if not field.e or field.p ~= purpose or (subject ~= '' and field.s ~= subject) then
  return {'UNKNOWN'}
elseif field.r and field.a ~= attempt then
  return {'ALREADY_USED'}
elseif not field.r then
  if tonumber(field.e) <= tonumber(now) then
    return {'EXPIRED'}
  end
  redis.call('HSET', KEYS[1], 'r', now, 'u', now, 'a', attempt)
  keep(KEYS[1], false, field.e + grace, now)
  for _, each in ipairs({'r', now, 'u', now}) do
    table.insert(record, each)
  end
end
table.insert(record, 1, 'CONSUMED')
return record
