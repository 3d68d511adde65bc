-- Stands before the scripts that write a key with a TTL.
local time = redis.call('TIME')
-- By how many milliseconds the node's clock, which says now, is ahead of the server's clock; at most a day. A key has
-- to live longer by this difference, since the node's clock may be corrected later.
local function ahead(now)
  return math.min(math.max(now - time[1] * 1000 - math.floor(time[2] / 1000), 0), 86400000)
end
-- How many milliseconds a key must live, so that it ends at a time both by the node's and by the server's clock.
local function lifetime(ends, now)
  return string.format('%.0f', ends - now + ahead(now))
end
-- Lets a key live until a time. The TTL of a key that is not new is never shortened.
local function keep(key, isNew, ends, now)
  if isNew then
    redis.call('PEXPIRE', key, lifetime(ends, now))
  else
    redis.call('PEXPIRE', key, lifetime(ends, now), 'GT')
  end
end
