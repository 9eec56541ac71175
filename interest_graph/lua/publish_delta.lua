-- Number and publish a delta of the item matrix, if its model is still the published one.
-- KEYS  manifest, deltas of the model
-- ARGV  model version, delta without its number
-- Returns the delta's number, or 0 when another model is published.
if redis.call('HGET', KEYS[1], 'model_version') ~= ARGV[1] then return 0 end
local epoch = redis.call('HINCRBY', KEYS[1], 'epoch', 1)
redis.call('HSET', KEYS[2], epoch, ARGV[2])
return epoch
