-- KEYS: the record, the stream of its partition. ARGV: now, grace, attempt, subject or '', purpose, successor or '', and
-- 'true' if this server has all keys.
-- Answers CONSUMED, the watermark of the record's subject or nothing, and the fields of the record, also to a repetition
-- of the attempt that consumed the record. Otherwise answers UNKNOWN, ALREADY_USED or EXPIRED.
local now, grace, attempt, subject, purpose, successor, isWatermarkHere = unpack(ARGV)
local record = redis.call('HGETALL', KEYS[1])
local field = {}
for i = 1, #record, 2 do
  field[record[i]] = record[i + 1]
end
if not field.e or field.p ~= purpose or (subject ~= '' and field.s ~= subject) then
  return {'UNKNOWN'}
elseif field.r and field.a ~= attempt then
  return {'ALREADY_USED'}
elseif not field.r and tonumber(field.e) <= tonumber(now) then
  return {'EXPIRED'}
end
local watermark
if isWatermarkHere == 'true' and field.s then
  -- The partition of the subject, as Keys.java computes it.
  local hash = 0
  for _, byte in ipairs({string.byte(field.s, 1, -1)}) do
    hash = (hash * 31 + byte) % 4294967296
  end
  local name = string.gsub(field.s, '[:{}%%]', function(c)
    return string.format('%%%02X', string.byte(c))
  end)
  local domain, tenant = string.match(KEYS[1], '^(.-:.-:)%a(%.}:.-:)')
  local key = domain .. string.char(97 + hash % 997 % 16) .. tenant .. 'watermark:' .. name
  -- Before the first write: if this fails, nothing was changed.
  watermark = redis.call('HMGET', key, 'r')[1]
end
if not field.r then
  local use = {'r', now, 'u', now, 'a', attempt}
  if successor ~= '' then
    table.insert(use, 'n')
    table.insert(use, successor)
  end
  tell(field.e)
  redis.call('HSET', KEYS[1], unpack(use))
  keep(KEYS[1], false, field.e + grace, now)
  for _, each in ipairs(use) do
    table.insert(record, each)
  end
end
table.insert(record, 1, 'CONSUMED')
table.insert(record, 2, watermark or false)
return record
