-- KEYS: the subject's index. ARGV: expires, jti, now, grace.
enter(KEYS[1], unpack(ARGV))
return {'DONE'}
