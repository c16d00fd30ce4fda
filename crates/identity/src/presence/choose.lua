-- Stores the presence that a user's connections to one instance report, and the most active one of all instances. Returns the latter
-- if the user is online and it has changed.
-- KEYS: the set of users online, scored by the time of the next check; the user's hash.
-- ARGV: the user's id, the instance, the status or an empty string, now (ms), retention (ms).
local activity = {away = 1, online = 2, dnd = 3}
local before = redis.call('HGET', KEYS[2], 'chosen') or 'online'
if ARGV[3] == '' then
  redis.call('HDEL', KEYS[2], 'said:' .. ARGV[2])
else
  redis.call('HSET', KEYS[2], 'said:' .. ARGV[2], ARGV[3])
end
local held, said = {}, {}
local fields = redis.call('HGETALL', KEYS[2])
for at = 1, #fields, 2 do
  local kind, instance = string.sub(fields[at], 1, 5), string.sub(fields[at], 6)
  if kind == 'held:' then
    held[instance] = tonumber(fields[at + 1])
  elseif kind == 'said:' then
    said[instance] = fields[at + 1]
  end
end
local most = nil
for instance, status in pairs(said) do
  if instance ~= ARGV[2] and (held[instance] or 0) <= tonumber(ARGV[4]) then
    redis.call('HDEL', KEYS[2], 'said:' .. instance)
  elseif not most or (activity[status] or 0) > (activity[most] or 0) then
    most = status
  end
end
if most then
  redis.call('HSET', KEYS[2], 'chosen', most)
end
if not redis.call('ZSCORE', KEYS[1], ARGV[1]) then
  redis.call('PEXPIRE', KEYS[2], ARGV[5])
  return ''
end
if not most or most == before then
  return ''
end
return most
