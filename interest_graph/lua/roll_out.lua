-- Make a model the published one, with all of the deltas it has. A manifest that is not there gets
-- an origin.
-- KEYS  manifest, deltas of the model, the right to roll out
-- ARGV  model version, seconds that the deltas of the model before it are kept, the origin, the
--       holder, '' for nobody
-- Returns the epoch, the number of the model's newest delta, or -1 when the right to roll out is
-- not the holder's: whoever held it too long ago may have been overtaken.
if (redis.call('GET', KEYS[3]) or '') ~= ARGV[4] then return -1 end
local epoch = 0
for _, number in ipairs(redis.call('HKEYS', KEYS[2])) do
  epoch = math.max(epoch, tonumber(number))
end
local before = redis.call('HGET', KEYS[1], 'model_version')
if before and before ~= ARGV[1] then redis.call('EXPIRE', 'ig:deltas:' .. before, ARGV[2]) end
redis.call('PERSIST', KEYS[2])
redis.call('HSETNX', KEYS[1], 'origin', ARGV[3])
redis.call('HSET', KEYS[1], 'model_version', ARGV[1], 'epoch', epoch)
return epoch
