-- KEYS: the record. ARGV: subject or '', purpose, now, grace, attempt.
-- Answers CONSUMED and the fields of the record, also to a repetition of the attempt that did, or why not.
local subject, purpose, now, grace, attempt = unpack(ARGV)
local e, s, p, r, a = unpack(redis.call('HMGET', KEYS[1], 'e', 's', 'p', 'r', 'a'))
if not e or p ~= purpose or (subject ~= '' and s ~= subject) then
  return {'UNKNOWN'}
elseif r and a ~= attempt then
  return {'ALREADY_USED'}
elseif not r and tonumber(e) <= tonumber(now) then
  return {'EXPIRED'}
end
local left = redis.call('PTTL', KEYS[1])
if not r then
  redis.call('HSET', KEYS[1], 'r', now, 'u', now, 'a', attempt)
end
keep(KEYS[1], left, e + grace, now)
local answer = redis.call('HGETALL', KEYS[1])
table.insert(answer, 1, 'CONSUMED')
return answer
