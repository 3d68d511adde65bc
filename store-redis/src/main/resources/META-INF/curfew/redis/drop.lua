-- KEYS: a subject's index. ARGV: pairs of a jti whose record is revoked, and the score that its entry had then.
-- If an entry has a higher score now, its token has been stored again since, and the entry stays.
for i = 1, #ARGV, 2 do
  local score = redis.call('ZSCORE', KEYS[1], ARGV[i])
  if score and tonumber(score) <= tonumber(ARGV[i + 1]) then
    redis.call('ZREM', KEYS[1], ARGV[i])
  end
end
return {'DONE'}
