-- Removes a user without a valid lease. Returns 1 if this call removed the user.
-- KEYS: the set of users online, scored by the time of the next check; the user's hash.
-- ARGV: the user's id, now (ms), retention (ms).
local due = redis.call('ZSCORE', KEYS[1], ARGV[1])
local now = tonumber(ARGV[2])
if not due or tonumber(due) > now then
  return 0
end
local latest = 0
local fields = redis.call('HGETALL', KEYS[2])
for at = 1, #fields, 2 do
  if string.sub(fields[at], 1, 5) == 'held:' then
    local hold = tonumber(fields[at + 1])
    if hold > now then
      latest = math.max(latest, hold)
    else
      redis.call('HDEL', KEYS[2], fields[at])
    end
  end
end
if latest > 0 then
  redis.call('ZADD', KEYS[1], string.format('%.0f', latest), ARGV[1])
  return 0
end
redis.call('ZREM', KEYS[1], ARGV[1])
redis.call('HSET', KEYS[2], 'seen', ARGV[2])
redis.call('PEXPIRE', KEYS[2], ARGV[3])
return 1
