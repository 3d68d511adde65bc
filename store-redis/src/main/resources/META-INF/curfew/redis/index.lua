-- KEYS: the subject's index. ARGV: expires, jti or '', how long it is kept, up to which expiry entries have ended.
-- An entry's score is only ever raised: it is the latest expiry that the record has had, or is about to have.
local left = redis.call('PTTL', KEYS[1])
redis.call('ZADD', KEYS[1], 'GT', ARGV[1], ARGV[2])
keep(KEYS[1], left, tonumber(ARGV[3]))
-- A few more than one comes in, so that the index shrinks, and no store has to do a long clean-up.
local ended = redis.call('ZRANGEBYSCORE', KEYS[1], '-inf', ARGV[4], 'LIMIT', 0, 10)
if #ended > 0 then
  redis.call('ZREM', KEYS[1], unpack(ended))
end
return {'DONE'}
