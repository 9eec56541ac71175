-- What a request reads, at one moment.
-- KEYS  manifest, catalogue revision, user, seen items, a hash that something else is read from
-- ARGV  stamp of what is known of the user or '', a field of that hash
-- Returns {model version, epoch, origin, catalogue revision, history revision, the field, stamp,
--       history, document, seen items}; the last three are left out when the stamp is the known one.
local manifest = redis.call('HMGET', KEYS[1], 'model_version', 'epoch', 'origin')
local user = redis.call('HMGET', KEYS[3], 'r', 'v')
local answer = {
  manifest[1], manifest[2], manifest[3], redis.call('GET', KEYS[2]), user[1],
  redis.call('HGET', KEYS[5], ARGV[2]), user[2],
}
if user[2] and user[2] == ARGV[1] then return answer end
local kept = redis.call('HMGET', KEYS[3], 'h', 'd')
answer[8], answer[9], answer[10] = kept[1], kept[2], redis.call('SMEMBERS', KEYS[4])
return answer
