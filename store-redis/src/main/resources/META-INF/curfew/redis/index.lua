-- KEYS: the subject's index. ARGV: now, grace, attempt, expires, jti.
enter(KEYS[1], ARGV[4], ARGV[5], ARGV[1], ARGV[2])
return {'INDEXED'}
