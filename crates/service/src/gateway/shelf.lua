-- Keeps texts of a key by their names, and forgets the oldest where they are too many.
-- KEYS: the texts by name, the names with the oldest first, how many bytes that is together.
-- ARGV: for how many seconds, how many bytes at most, then name and text by turns.
local texts, order, sum = KEYS[1], KEYS[2], KEYS[3]
local seconds, most = tonumber(ARGV[1]), tonumber(ARGV[2])
local bytes = tonumber(redis.call('GET', sum) or '0')
for at = 3, #ARGV, 2 do
    local name, text = ARGV[at], ARGV[at + 1]
    if redis.call('HEXISTS', texts, name) == 1 then
        bytes = bytes - #name - redis.call('HSTRLEN', texts, name)
    else
        redis.call('RPUSH', order, name)
    end
    redis.call('HSET', texts, name, text)
    bytes = bytes + #name + #text
end
while bytes > most do
    local oldest = redis.call('LPOP', order)
    if not oldest then
        bytes = 0
        break
    end
    bytes = bytes - #oldest - redis.call('HSTRLEN', texts, oldest)
    redis.call('HDEL', texts, oldest)
end
redis.call('SET', sum, bytes, 'EX', seconds)
redis.call('EXPIRE', texts, seconds)
redis.call('EXPIRE', order, seconds)
