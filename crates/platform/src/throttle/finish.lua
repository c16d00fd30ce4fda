-- KEYS: for each subject its number of failures, and its pending attempts. ARGV: the attempt's id,
-- true if it failed, the window in milliseconds.
for i = 1, #KEYS, 2 do
  redis.call('ZREM', KEYS[i + 1], ARGV[1])
  if ARGV[2] == '1' and redis.call('INCR', KEYS[i]) == 1 then
    redis.call('PEXPIRE', KEYS[i], ARGV[3])
  end
end
return 0
