-- KEYS[1]: usage of a key in its current minute. ARGV: difference of the used tokens to the
-- reserved ones; may be negative.
if redis.call('HEXISTS', KEYS[1], 'tokens') == 1 then
  if redis.call('HINCRBY', KEYS[1], 'tokens', ARGV[1]) < 0 then redis.call('HSET', KEYS[1], 'tokens', 0) end
end
