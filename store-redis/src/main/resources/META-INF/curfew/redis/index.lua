-- KEYS: the subject's index. ARGV: expires, jti, how long it is kept, up to which expiry entries have ended.
enter(KEYS[1], unpack(ARGV))
return {'DONE'}
