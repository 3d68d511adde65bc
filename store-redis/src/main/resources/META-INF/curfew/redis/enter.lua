-- Before the scripts that write an index: one of KEYS, an expiry, a jti, now, grace. An entry's score is only ever raised: it
-- is the latest expiry that the record has had, or is about to have.
local function enter(index, expires, jti, now, grace)
  if redis.call('ZADD', index, 'GT', 'CH', expires, jti) == 0 then
    local before = redis.call('ZSCORE', index, jti)
    if tonumber(before) > tonumber(expires) then
      -- The expiry is about to be shortened: up to where the entry stays, the order is not that of the expiries.
      redis.call('ZADD', index, 'GT', before, '')
    end
  end
  -- GT takes a new key, which has no end, for one that never ends.
  local left = lifetime(expires + grace, now)
  if redis.call('PEXPIRE', index, left, 'GT') == 0 then
    redis.call('PEXPIRE', index, left, 'NX')
  end
  -- A few more than one comes in, so that the index shrinks, and no store has to do a long clean-up. An entry that has ended
  -- only by the clock of a node that is ahead has not ended.
  local over = string.format('%.0f', now - ahead(now) - grace)
  local ended = redis.call('ZRANGEBYSCORE', index, '-inf', over, 'LIMIT', 0, 10)
  if #ended > 0 then
    redis.call('ZREM', index, unpack(ended))
  end
end
