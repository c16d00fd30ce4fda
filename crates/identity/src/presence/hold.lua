-- Leases users to an instance. Returns, for each user who came online, the position in the list, the stored presence and the last
-- activity.
-- KEYS: the set of users online, scored by the time of the next check; then one hash per user.
-- ARGV: instance, until (ms); then one id per user.
local came = {}
for place = 2, #KEYS do
  local person = ARGV[place + 1]
  redis.call('HSET', KEYS[place], 'held:' .. ARGV[1], ARGV[2])
  redis.call('PERSIST', KEYS[place])
  local due = tonumber(ARGV[2])
  local fields = redis.call('HGETALL', KEYS[place])
  for at = 1, #fields, 2 do
    if string.sub(fields[at], 1, 5) == 'held:' then
      due = math.max(due, tonumber(fields[at + 1]))
    end
  end
  if redis.call('ZADD', KEYS[1], string.format('%.0f', due), person) == 1 then
    table.insert(came, {place - 2, redis.call('HGET', KEYS[place], 'chosen') or 'online', redis.call('HGET', KEYS[place], 'seen') or ''})
  end
end
return came
