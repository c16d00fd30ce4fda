-- KEYS[1]: the counter. ARGV: limit, window in milliseconds.
local time = redis.call('TIME')
local now = time[1] * 1000 + math.floor(time[2] / 1000)
local limit, window = tonumber(ARGV[1]), tonumber(ARGV[2])
local start = now - now % window
local left = start + window - now
local held = redis.call('HMGET', KEYS[1], 'start', 'count')
local count = 0
if tonumber(held[1]) == start then count = tonumber(held[2]) end
if count >= limit then return {0, 0, left, left} end
redis.call('HSET', KEYS[1], 'start', start, 'count', count + 1)
redis.call('PEXPIRE', KEYS[1], left)
return {1, limit - count - 1, left, 0}
