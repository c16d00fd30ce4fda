-- KEYS: for each subject its number of failures, and its pending attempts (by the time at which
-- they expire). ARGV: the attempt's id, its lifetime in milliseconds, then the limit of each
-- subject. Returns 0: proceed; -2: proceed, though a subject has failed recently; -1: too many
-- attempts are pending; otherwise milliseconds to wait.
local time = redis.call('TIME')
local now = time[1] * 1000 + math.floor(time[2] / 1000)
local wait, busy, doubted = 0, false, false
for i = 1, #KEYS, 2 do
  local limit = tonumber(ARGV[2 + (i + 1) / 2])
  redis.call('ZREMRANGEBYSCORE', KEYS[i + 1], '-inf', now)
  local failed = tonumber(redis.call('GET', KEYS[i]) or '0')
  doubted = doubted or failed > 0
  if failed >= limit then
    wait = math.max(wait, redis.call('PTTL', KEYS[i]), 1)
  elseif failed + redis.call('ZCARD', KEYS[i + 1]) >= limit then
    busy = true
  end
end
if wait > 0 then return wait end
if busy then return -1 end
for i = 1, #KEYS, 2 do
  redis.call('ZADD', KEYS[i + 1], now + tonumber(ARGV[2]), ARGV[1])
  redis.call('PEXPIRE', KEYS[i + 1], ARGV[2])
end
return doubted and -2 or 0
