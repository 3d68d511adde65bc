-- Stands before the scripts that revoke. KEYS[2]: the stream of the partition. ARGV[3]: the attempt, a random text.
-- Appends to the stream that the key KEYS[1] is revoked: its field e, '' or for a watermark its field r, and the key
-- without its prefix, as one text. Has to be called before the first write to the key: if it fails, nothing is revoked.
local function tell(ends, watermark)
  -- One call of 36 looks at the 16 oldest entries; at 16 more, while half of them are over. An entry is over when its key
  -- has other values, which another entry tells, or when the key is not there and would have ended by its TTL. A key may
  -- also be missing because its slot is being moved to another server: then the entry counts. What counts is appended
  -- again; then all entries that were looked at are removed. So what counts and a reader has not read yet always stands
  -- behind the last entry that the reader has read.
  if string.sub(ARGV[3], -1) == '0' then
    local prefix = string.match(KEYS[1], '^[^}]*}:')
    local looked, over = 0
    repeat
      over = 0
      local entries = redis.call('XRANGE', KEYS[2], '-', '+', 'COUNT', 16)
      for _, entry in ipairs(entries) do
        -- What is not an entry of this form is nobody's, and goes.
        local ending, at, key = string.match(entry[2][2], '^(-?%d+):(-?%d*):([^:]*:%a+:[^:]*)$')
        key = #entry[2] == 2 and key
        local isOver = not key or ending + ARGV[2] < time[1] * 1000
        local e, r = unpack(key and redis.pcall('HMGET', prefix .. key, 'e', 'r') or {})
        if e then
          isOver = not r or e ~= ending or (at ~= '' and at ~= r)
        end
        if isOver then
          over = over + 1
        else
          redis.call('XADD', KEYS[2], '*', unpack(entry[2]))
        end
      end
      redis.call('XTRIM', KEYS[2], 'MAXLEN', redis.call('XLEN', KEYS[2]) - #entries)
      looked = looked + 16
    until over < 8 or looked == 96
  end
  redis.call('XADD', KEYS[2], '*', 'k', ends .. ':' .. (watermark or '') .. ':' .. string.match(KEYS[1], '}:(.*)'))
end
