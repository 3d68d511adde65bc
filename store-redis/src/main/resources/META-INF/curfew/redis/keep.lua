-- Before the scripts that write a key which ends.
local time = redis.call('TIME')
-- By how many milliseconds a node whose clock says now is ahead of the server's clock; a day at the most. When that clock is
-- put right, all that counted from it has to live for as much longer.
local function ahead(now)
  return math.min(math.max(now - time[1] * 1000 - math.floor(time[2] / 1000), 0), 86400000)
end
-- Lets a key live until a time, by the node's clock and by the server's: the later of both; and never for less than it has.
-- A second more or less is no reason to write: the margin, which is in what is asked for, is ten.
-- left is what PTTL answered before the key was written to: -2 if there was none, -1 if it never ends.
local function keep(key, left, ends, now)
  local millis = ends - now + ahead(now)
  if left == -2 or (left >= 0 and left + 1000 < millis) then
    redis.call('PEXPIRE', key, string.format('%.0f', millis))
  end
end
