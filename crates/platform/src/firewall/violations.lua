-- KEYS[1]: the moments of a network's last violations, the newest first. ARGV: how many lead to a ban, within how many milliseconds.
local time = redis.call('TIME')
local now = time[1] * 1000 + math.floor(time[2] / 1000)
local most, window = tonumber(ARGV[1]), tonumber(ARGV[2])
redis.call('LPUSH', KEYS[1], now)
redis.call('LTRIM', KEYS[1], 0, most - 1)
redis.call('PEXPIRE', KEYS[1], window)
local oldest = redis.call('LINDEX', KEYS[1], most - 1)
if oldest and now - tonumber(oldest) <= window then
  -- Whoever makes the number full bans, and nobody else.
  redis.call('DEL', KEYS[1])
  return 1
end
return 0
