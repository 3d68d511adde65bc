-- KEYS: the subject's watermark. ARGV: watermark, until when it is kept, now.
local at = redis.call('GET', KEYS[1])
local left = redis.call('PTTL', KEYS[1])
if not at or tonumber(ARGV[1]) > tonumber(at) then
  redis.call('SET', KEYS[1], ARGV[1], 'KEEPTTL')
end
keep(KEYS[1], left, ARGV[2], ARGV[3])
return {'DONE'}
