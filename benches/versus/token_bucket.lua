-- A token bucket as applications write it for redis-server: whole microtokens in a hash, the server's clock.
-- KEYS[1] bucket; ARGV[1] capacity, ARGV[2] tokens per period, ARGV[3] period in seconds, ARGV[4] tokens wanted.
local SCALE = 1000000
local capacity = tonumber(ARGV[1]) * SCALE
local per_second = tonumber(ARGV[2]) * SCALE / tonumber(ARGV[3])
local wanted = tonumber(ARGV[4]) * SCALE

local time = redis.call('TIME')
local now = tonumber(time[1]) + tonumber(time[2]) / 1000000
local bucket = redis.call('HMGET', KEYS[1], 'tokens', 'at')
local tokens = tonumber(bucket[1]) or capacity
local elapsed = math.max(0, now - (tonumber(bucket[2]) or now))
tokens = math.min(capacity, math.floor(tokens + elapsed * per_second))

if tokens < wanted then
  return {0, math.floor(tokens / SCALE), math.ceil((wanted - tokens) / per_second * 1000)}
end
tokens = tokens - wanted
redis.call('HSET', KEYS[1], 'tokens', tokens, 'at', string.format('%.6f', now))
redis.call('PEXPIRE', KEYS[1], math.ceil((capacity - tokens) / per_second * 1000) + 1)
return {1, math.floor(tokens / SCALE), 0}
