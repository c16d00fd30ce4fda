-- KEYS[1]: the requests of a key that are under way. ARGV: their lifetime in milliseconds, then the ids of those that go on.
local time = redis.call('TIME')
local ends = time[1] * 1000 + math.floor(time[2] / 1000) + tonumber(ARGV[1])
for place = 2, #ARGV do
  redis.call('ZADD', KEYS[1], 'XX', ends, ARGV[place])
end
redis.call('PEXPIRE', KEYS[1], ARGV[1])
