-- KEYS[1]: calls by number of their slice of the window; slices.rs describes the algorithm. ARGV:
-- limit, window in milliseconds, slices per window.
local time = redis.call('TIME')
local now = time[1] * 1000 + math.floor(time[2] / 1000)
local limit, window, slices = tonumber(ARGV[1]), tonumber(ARGV[2]), tonumber(ARGV[3])
local length = math.max(1, math.ceil(window / slices))
local current = math.floor(now / length)
local held = redis.call('HGETALL', KEYS[1])
local used, live, over = 0, {}, {}
for i = 1, #held, 2 do
  local number, calls = tonumber(held[i]), tonumber(held[i + 1])
  -- Slices stay counted if the clock is set back.
  current = math.max(current, number)
  used = used + calls
  live[#live + 1] = { number, calls }
end
table.sort(live, function(one, other) return one[1] < other[1] end)
while live[1] and live[1][1] < current - slices do
  used = used - live[1][2]
  over[#over + 1] = table.remove(live, 1)[1]
end
if #over > 0 then
  redis.call('HDEL', KEYS[1], unpack(over))
end
local function until_over(number)
  return math.max(1, (number + slices + 1) * length - now)
end
if used >= limit then
  local left = used
  for _, slice in ipairs(live) do
    left = left - slice[2]
    if left < limit then
      return { 0, 0, until_over(live[#live][1]), until_over(slice[1]) }
    end
  end
end
redis.call('HINCRBY', KEYS[1], current, 1)
redis.call('PEXPIRE', KEYS[1], until_over(current))
return { 1, limit - used - 1, until_over(current), 0 }
