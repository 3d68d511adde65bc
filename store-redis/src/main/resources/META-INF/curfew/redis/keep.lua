-- Before every script. Gives a key so many milliseconds to live, unless it has more: never less. A second more or less is
-- no reason to write: the margin, which is in what is asked for, is ten.
-- left is what PTTL answered before the key was written to: -2 if there was none, -1 if it never ends.
local function keep(key, left, millis)
  if left == -2 or (left >= 0 and left + 1000 < millis) then
    redis.call('PEXPIRE', key, string.format('%.0f', millis))
  end
end
