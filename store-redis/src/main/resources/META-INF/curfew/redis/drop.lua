-- KEYS: a subject's index. ARGV: pairs of a jti whose record is revoked, and the score that its entry had then.
-- An entry with a higher score is that of a record that was stored since.
for i = 1, #ARGV, 2 do
  local score = redis.call('ZSCORE', KEYS[1], ARGV[i])
  if score and tonumber(score) <= tonumber(ARGV[i + 1]) then
    redis.call('ZREM', KEYS[1], ARGV[i])
  end
end
return {'DONE'}
