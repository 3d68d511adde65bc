-- KEYS: the subject's index. ARGV: expires, jti, how long it is kept, up to which expiry entries have ended.
-- An entry's score is only ever raised: it is the latest expiry that the record has had, or is about to have.
local expires, jti, kept, over = unpack(ARGV)
local left = redis.call('PTTL', KEYS[1])
local before = redis.call('ZSCORE', KEYS[1], jti)
if before and tonumber(before) > tonumber(expires) then
  -- The expiry is about to be shortened: up to where the entry stays, the order is not that of the expiries.
  redis.call('ZADD', KEYS[1], 'GT', before, '')
else
  redis.call('ZADD', KEYS[1], 'GT', expires, jti)
end
keep(KEYS[1], left, tonumber(kept))
-- A few more than one comes in, so that the index shrinks, and no store has to do a long clean-up.
local ended = redis.call('ZRANGEBYSCORE', KEYS[1], '-inf', over, 'LIMIT', 0, 10)
if #ended > 0 then
  redis.call('ZREM', KEYS[1], unpack(ended))
end
return {'DONE'}
