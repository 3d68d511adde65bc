-- KEYS: an unused key of the domain. Calls each command that the scripts and the store call. Only leaves a key that
-- ends in a second. Answers the first command that is refused, and the error; an empty list if none is refused.
local key = KEYS[1]
for _, command in ipairs({
  {'HDEL', key, 'e'}, {'HEXISTS', key, 'e'}, {'HGETALL', key}, {'HMGET', key, 'e'},
  {'SET', key, '0', 'XX', 'KEEPTTL'}, {'ZADD', key, 'XX', '0', ''}, {'ZRANGEBYSCORE', key, '0', '0'}, {'ZREM', key, ''},
  {'ZSCORE', key, ''}, {'TIME'}, {'INFO', 'replication'},
  {'XADD', key, 'NOMKSTREAM', '*', 'k', ''}, {'XLEN', key}, {'XRANGE', key, '-', '+'}, {'XREAD', 'COUNT', '1', 'STREAMS', key, '0'},
  {'XTRIM', key, 'MAXLEN', '0'},
  {'PEXPIRE', key, '1000'}, {'HSET', key, 'probe', ''}, {'PEXPIRE', key, '1000'}
}) do
  local answer = redis.pcall(unpack(command))
  if type(answer) == 'table' and answer.err then
    return {command[1], answer.err}
  end
end
return {}
