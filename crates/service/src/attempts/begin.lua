-- KEYS: for each subject how often it has failed, and what is under way (by the moment when that is given up).
-- ARGV: limit, the attempt's id, its lifetime in milliseconds. 0: go on. -1: too much is under way. Else: milliseconds to wait.
local time = redis.call('TIME')
local now = time[1] * 1000 + math.floor(time[2] / 1000)
local limit = tonumber(ARGV[1])
local wait, busy = 0, false
for i = 1, #KEYS, 2 do
  redis.call('ZREMRANGEBYSCORE', KEYS[i + 1], '-inf', now)
  local failed = tonumber(redis.call('GET', KEYS[i]) or '0')
  if failed >= limit then
    wait = math.max(wait, redis.call('PTTL', KEYS[i]), 1)
  elseif failed + redis.call('ZCARD', KEYS[i + 1]) >= limit then
    busy = true
  end
end
if wait > 0 then return wait end
if busy then return -1 end
for i = 1, #KEYS, 2 do
  redis.call('ZADD', KEYS[i + 1], now + tonumber(ARGV[3]), ARGV[2])
  redis.call('PEXPIRE', KEYS[i + 1], ARGV[3])
end
return 0
