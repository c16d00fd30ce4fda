-- Keeps texts of a key by their names, and forgets those that are too old, and the oldest where they are too many.
-- KEYS: the texts by name, the names by when they came, how many bytes that is together.
-- ARGV: for how many seconds, how many bytes at most, then name and text by turns.
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

-- The whole goes an hour after its last text; what is older must not stay with it.
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
