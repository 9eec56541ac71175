-- Make a model the published one, with all of the deltas it has.
-- KEYS  manifest, deltas of the model
-- ARGV  model version
-- Returns the epoch.
local epoch = redis.call('HLEN', KEYS[2])
redis.call('HSET', KEYS[1], 'model_version', ARGV[1], 'epoch', epoch)
return epoch
