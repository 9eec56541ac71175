-- Make a model the published one, with all of the deltas it has.
-- KEYS  manifest, deltas of the model
-- ARGV  model version
-- Returns the epoch: the number of the model's newest delta.
local epoch = 0
for _, number in ipairs(redis.call('HKEYS', KEYS[2])) do
  epoch = math.max(epoch, tonumber(number))
end
redis.call('HSET', KEYS[1], 'model_version', ARGV[1], 'epoch', epoch)
return epoch
