-- KEYS: the subject's watermark, the stream of its partition. ARGV: now, grace, attempt, watermark, keep until.
local now, grace, _, watermark, keepUntil = unpack(ARGV)
local function later(one, other)
  return one and tonumber(one) >= tonumber(other) and one or other
end
local e, r = unpack(redis.call('HMGET', KEYS[1], 'e', 'r'))
local ends, at = later(e, keepUntil), later(r, watermark)
if ends ~= e or at ~= r then
  tell(ends, at)
  redis.call('HSET', KEYS[1], 'e', ends, 'r', at)
end
keep(KEYS[1], not e, ends + grace, now)
return {'DONE'}
