-- KEYS[1]: the theoretical arrival time (generic cell rate algorithm), in milliseconds. ARGV:
-- limit, window in milliseconds.
local time = redis.call('TIME')
local now = time[1] * 1000 + time[2] / 1000
local limit, window = tonumber(ARGV[1]), tonumber(ARGV[2])
local interval = window / limit
local due = math.max(now, tonumber(redis.call('GET', KEYS[1]) or now)) + interval
-- Accumulated rounding errors are less than a thousandth of an interval.
local early = due - window - now - interval / 1000
if early > 0 then return {0, 0, math.ceil(due - interval - now), math.ceil(early)} end
redis.call('SET', KEYS[1], string.format('%.6f', due), 'PX', math.ceil(due - now))
return {1, math.floor((window - (due - now)) / interval + 0.001), math.ceil(due - now), 0}
