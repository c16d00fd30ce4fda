-- Keeps what a person wants to be shown as. Answers 1 if they are here and it is another than before.
-- KEYS: the set of people who are here, by when they are due; the person's hash.
-- ARGV: the person's id, the status, for how long to remember (ms).
local before = redis.call('HGET', KEYS[2], 'chosen') or 'online'
redis.call('HSET', KEYS[2], 'chosen', ARGV[2])
if not redis.call('ZSCORE', KEYS[1], ARGV[1]) then
  redis.call('PEXPIRE', KEYS[2], ARGV[3])
  return 0
end
if before == ARGV[2] then
  return 0
end
return 1
