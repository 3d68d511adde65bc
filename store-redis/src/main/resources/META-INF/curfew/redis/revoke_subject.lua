-- KEYS: the subject's watermark. ARGV: now, grace, attempt, watermark, the time until which the watermark is kept.
local now, _, _, watermark, keepUntil = unpack(ARGV)
local at = redis.call('GET', KEYS[1])
if not at then
  redis.call('SET', KEYS[1], watermark, 'PX', lifetime(keepUntil, now))
else
  if tonumber(watermark) > tonumber(at) then
    redis.call('SET', KEYS[1], watermark, 'KEEPTTL')
  end
  keep(KEYS[1], false, keepUntil, now)
end
return {'DONE'}
