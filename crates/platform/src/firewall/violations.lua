-- KEYS[1]: timestamps of a network's latest violations, the newest first. ARGV: violations to a
-- ban, window in milliseconds.
local time = redis.call('TIME')
local now = time[1] * 1000 + math.floor(time[2] / 1000)
local most, window = tonumber(ARGV[1]), tonumber(ARGV[2])
redis.call('LPUSH', KEYS[1], now)
redis.call('LTRIM', KEYS[1], 0, most - 1)
redis.call('PEXPIRE', KEYS[1], window)
local oldest = redis.call('LINDEX', KEYS[1], most - 1)
if oldest and now - tonumber(oldest) <= window then
  -- Only the violation that reaches the limit leads to a ban.
  redis.call('DEL', KEYS[1])
  return 1
end
return 0
