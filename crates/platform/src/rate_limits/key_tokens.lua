-- KEYS[1]: what a key used in its minute. ARGV: tokens that it used beyond, or below, what was counted for it before.
if redis.call('HEXISTS', KEYS[1], 'tokens') == 1 then
  if redis.call('HINCRBY', KEYS[1], 'tokens', ARGV[1]) < 0 then redis.call('HSET', KEYS[1], 'tokens', 0) end
end
