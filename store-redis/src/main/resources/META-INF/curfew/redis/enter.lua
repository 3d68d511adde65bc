-- Before the scripts that write an index: KEYS' one, an expiry, a jti, now, grace. An entry's score is only ever raised: it is
-- the latest expiry that the record has had, or is about to have.
local function enter(index, expires, jti, now, grace)
  local left = redis.call('PTTL', index)
  local before = left ~= -2 and redis.call('ZSCORE', index, jti)
  if before and tonumber(before) > tonumber(expires) then
    -- The expiry is about to be shortened: up to where the entry stays, the order is not that of the expiries.
    redis.call('ZADD', index, 'GT', before, '')
  else
    redis.call('ZADD', index, 'GT', expires, jti)
  end
  keep(index, left, expires + grace, now)
  -- A few more than one comes in, so that the index shrinks, and no store has to do a long clean-up. What has ended only by
  -- the clock of a node that is ahead has not ended.
  local over = string.format('%.0f', now - ahead(now) - grace)
  local ended = left ~= -2 and redis.call('ZRANGEBYSCORE', index, '-inf', over, 'LIMIT', 0, 10)
  if ended and #ended > 0 then
    redis.call('ZREM', index, unpack(ended))
  end
end
