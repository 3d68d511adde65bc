-- Before the scripts that write an index: KEYS' one, an expiry, a jti, how long the index is kept, up to which expiry
-- entries have ended. An entry's score is only ever raised: it is the latest expiry that the record has had, or is about to
-- have.
local function enter(index, expires, jti, kept, over)
  local left = redis.call('PTTL', index)
  local before = left ~= -2 and redis.call('ZSCORE', index, jti)
  if before and tonumber(before) > tonumber(expires) then
    -- The expiry is about to be shortened: up to where the entry stays, the order is not that of the expiries.
    redis.call('ZADD', index, 'GT', before, '')
  else
    redis.call('ZADD', index, 'GT', expires, jti)
  end
  keep(index, left, tonumber(kept))
  -- A few more than one comes in, so that the index shrinks, and no store has to do a long clean-up.
  local ended = left ~= -2 and redis.call('ZRANGEBYSCORE', index, '-inf', over, 'LIMIT', 0, 10)
  if ended and #ended > 0 then
    redis.call('ZREM', index, unpack(ended))
  end
end
