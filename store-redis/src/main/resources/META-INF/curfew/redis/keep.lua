-- Before the scripts that write a key which ends.
local time = redis.call('TIME')
-- By how many milliseconds a node whose clock says now is ahead of the server's clock; a day at the most. When that clock is
-- put right, all that counted from it has to live for as much longer.
local function ahead(now)
  return math.min(math.max(now - time[1] * 1000 - math.floor(time[2] / 1000), 0), 86400000)
end
-- How many milliseconds a key must live until a time, by the node's clock and by the server's: the later of both.
local function lifetime(ends, now)
  return string.format('%.0f', ends - now + ahead(now))
end
-- Lets a key live until a time, and never for less than it has.
local function keep(key, isNew, ends, now)
  if isNew then
    redis.call('PEXPIRE', key, lifetime(ends, now))
  else
    redis.call('PEXPIRE', key, lifetime(ends, now), 'GT')
  end
end
