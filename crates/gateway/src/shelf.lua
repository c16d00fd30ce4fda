-- Stores texts of a key by name. Removes expired ones, and the oldest if they exceed the size limit.
-- KEYS: texts by name, names by time of storage, total size in bytes.
-- ARGV: lifetime in seconds, maximum size in bytes, then alternating names and texts.
local texts, order, sum = KEYS[1], KEYS[2], KEYS[3]
local seconds, most = tonumber(ARGV[1]), tonumber(ARGV[2])
local time = redis.call('TIME')
local now = tonumber(time[1]) * 1000 + math.floor(tonumber(time[2]) / 1000)
local bytes = tonumber(redis.call('GET', sum) or '0')

local function forget(name)
    bytes = bytes - #name - redis.call('HSTRLEN', texts, name)
    redis.call('HDEL', texts, name)
    redis.call('ZREM', order, name)
end

-- The keys expire an hour after the last text; older texts must not live longer because of it.
for _, name in ipairs(redis.call('ZRANGEBYSCORE', order, '-inf', now - seconds * 1000)) do
    forget(name)
end
for at = 3, #ARGV, 2 do
    local name, text = ARGV[at], ARGV[at + 1]
    if redis.call('HEXISTS', texts, name) == 1 then
        forget(name)
    end
    redis.call('HSET', texts, name, text)
    redis.call('ZADD', order, now, name)
    bytes = bytes + #name + #text
end
while bytes > most do
    local oldest = redis.call('ZRANGE', order, 0, 0)[1]
    if not oldest then
        bytes = 0
        break
    end
    forget(oldest)
end
redis.call('SET', sum, bytes, 'EX', seconds)
redis.call('EXPIRE', texts, seconds)
redis.call('EXPIRE', order, seconds)
