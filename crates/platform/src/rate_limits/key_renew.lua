-- KEYS[1]: requests of a key in progress. ARGV: their lifetime in milliseconds, then the ids of
-- those to renew.
local time = redis.call('TIME')
local ends = time[1] * 1000 + math.floor(time[2] / 1000) + tonumber(ARGV[1])
for place = 2, #ARGV do
  redis.call('ZADD', KEYS[1], 'XX', ends, ARGV[place])
end
redis.call('PEXPIRE', KEYS[1], ARGV[1])
