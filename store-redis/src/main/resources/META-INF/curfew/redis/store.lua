-- KEYS: the record; outside a cluster also the subject's index. ARGV: now, grace, attempt,
-- subject, purpose, issued or '', expires, extra data or '', session or '', jti.
-- Answers MISMATCH, REVOKED or STORED.
local now, grace, _, subject, purpose, issued, expires, data, session, jti = unpack(ARGV)
local e, s, r, g = unpack(redis.call('HMGET', KEYS[1], 'e', 's', 'r', 'g'))
if e and s and s ~= subject then
  return {'MISMATCH'}
elseif e and r then
  return {'REVOKED'}
end
if KEYS[2] then
  -- Before the record, so that a failure here leaves the record unchanged.
  enter(KEYS[2], expires, jti, now, grace)
end
local fields = {'s', subject, 'p', purpose, 'e', expires, 'u', now}
local function put(field, value, mayBeThere)
  if value ~= '' then
    table.insert(fields, field)
    table.insert(fields, value)
  elseif mayBeThere then
    redis.call('HDEL', KEYS[1], field)
  end
end
put('i', issued, e)
put('d', data, e)
put('g', session, g)
if not e then
  put('c', now)
end
redis.call('HSET', KEYS[1], unpack(fields))
keep(KEYS[1], not e, expires + grace, now)
return {'STORED'}
