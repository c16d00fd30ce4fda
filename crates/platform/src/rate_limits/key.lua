-- KEYS[1]: usage of a key in its current minute, which starts with the first request. KEYS[2]: its
-- requests in progress, by the time at which they expire. ARGV: limits of requests, tokens and
-- concurrent requests (0: unlimited); tokens, id and lifetime of the request. Returns: 0 or the
-- exceeded limit (1 requests, 2 tokens, 3 concurrent requests); used requests and tokens; remaining
-- milliseconds of the minute.
local time = redis.call('TIME')
local now = time[1] * 1000 + math.floor(time[2] / 1000)
local rpm, tpm, parallel = tonumber(ARGV[1]), tonumber(ARGV[2]), tonumber(ARGV[3])
local asked = tonumber(ARGV[4])
local held = redis.call('HMGET', KEYS[1], 'start', 'requests', 'tokens')
local start, requests, tokens = tonumber(held[1]), tonumber(held[2] or 0), tonumber(held[3] or 0)
if not start or now >= start + 60000 then start, requests, tokens = now, 0, 0 end
local left = start + 60000 - now
if rpm > 0 and requests >= rpm then return { 1, requests, tokens, left } end
if tpm > 0 then
  asked = math.min(asked, tpm)
  if tokens > 0 and tokens + asked > tpm then return { 2, requests, tokens, left } end
end
if parallel > 0 then
  redis.call('ZREMRANGEBYSCORE', KEYS[2], '-inf', now)
  if redis.call('ZCARD', KEYS[2]) >= parallel then return { 3, requests, tokens, left } end
  redis.call('ZADD', KEYS[2], now + tonumber(ARGV[6]), ARGV[5])
  redis.call('PEXPIRE', KEYS[2], ARGV[6])
end
redis.call('HSET', KEYS[1], 'start', start, 'requests', requests + 1, 'tokens', tokens + asked)
redis.call('PEXPIRE', KEYS[1], left)
return { 0, requests + 1, tokens + asked, left }
