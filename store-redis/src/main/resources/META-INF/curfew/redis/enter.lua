-- Stands before the scripts that write an index. Parameters: one of KEYS, an expiry, a jti, now, grace. The score of an
-- entry is only ever raised: it is the latest expiry that the record has had, or is about to have.
local function enter(index, expires, jti, now, grace)
  if redis.call('ZADD', index, 'GT', 'CH', expires, jti) == 0 then
    local before = redis.call('ZSCORE', index, jti)
    if tonumber(before) > tonumber(expires) then
      -- The record's expiry is about to be shortened, and its score stays: up to that score, the order of the entries
      -- may differ from that of the expiries. The entry '' keeps the highest such score.
      redis.call('ZADD', index, 'GT', before, '')
    end
  end
  -- A new key has no TTL. GT takes it for a key that never ends, and changes nothing: then NX sets the TTL.
  local left = lifetime(expires + grace, now)
  if redis.call('PEXPIRE', index, left, 'GT') == 0 then
    redis.call('PEXPIRE', index, left, 'NX')
  end
  -- Removes up to ten entries for each that is added. So the index shrinks, and no call has to do a long clean-up. If a
  -- node's clock is ahead, the server's clock decides whether an entry has ended.
  local over = string.format('%.0f', now - ahead(now) - grace)
  local ended = redis.call('ZRANGEBYSCORE', index, '-inf', over, 'LIMIT', 0, 10)
  if #ended > 0 then
    redis.call('ZREM', index, unpack(ended))
  end
end
