-- KEYS[1]: the counters of two windows. ARGV: limit, window in milliseconds.
local time = redis.call('TIME')
local now = time[1] * 1000 + math.floor(time[2] / 1000)
local limit, window = tonumber(ARGV[1]), tonumber(ARGV[2])
local start = now - now % window
local elapsed = now - start
local held = redis.call('HMGET', KEYS[1], 'start', 'count', 'before')
local count, before = 0, 0
if tonumber(held[1]) == start then
  count, before = tonumber(held[2]), tonumber(held[3])
elseif tonumber(held[1]) == start - window then
  before = tonumber(held[2])
end
local used = before * (window - elapsed) / window + count
local left = window - elapsed
if used + 1 > limit then
  -- When the share of the older calls has shrunk far enough for one more.
  local wait
  if count <= limit - 1 then
    wait = window * (1 - math.min((limit - 1 - count) / before, 1)) - elapsed
  else
    wait = left + window * (1 - math.min((limit - 1) / count, 1))
  end
  return {0, 0, left, math.max(1, math.ceil(wait))}
end
redis.call('HSET', KEYS[1], 'start', start, 'count', count + 1, 'before', before)
redis.call('PEXPIRE', KEYS[1], left + window)
return {1, math.max(0, math.floor(limit - used - 1)), left, 0}
