-- KEYS: records. Answers a digit for each: 1 if it is revoked, else 0.
local digits = {}
for i, key in ipairs(KEYS) do
  digits[i] = redis.call('HEXISTS', key, 'r')
end
return {table.concat(digits)}
