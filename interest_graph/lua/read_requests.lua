-- What some requests read, all at one moment.
-- KEYS  manifest, catalogue revision; for each request: user, seen items, a hash that something
--       else is read from
-- ARGV  for each request: stamp of what is known of the user or '', a field of that hash
-- Returns {model version, epoch, origin, catalogue revision, answers}. An answer is {history
--       revision, the field, stamp, history, document, seen items}; the last three are left out
--       when the stamp is the known one.
local manifest = redis.call('HMGET', KEYS[1], 'model_version', 'epoch', 'origin')
local answers = {}
for n = 1, #ARGV / 2 do
  local name, stamp = KEYS[3 * n], ARGV[2 * n - 1]
  local user = redis.call('HMGET', name, 'r', 'v')
  local answer = { user[1], redis.call('HGET', KEYS[3 * n + 2], ARGV[2 * n]), user[2] }
  if not user[2] or user[2] ~= stamp then
    local kept = redis.call('HMGET', name, 'h', 'd')
    answer[4], answer[5], answer[6] = kept[1], kept[2], redis.call('SMEMBERS', KEYS[3 * n + 1])
  end
  answers[n] = answer
end
return { manifest[1], manifest[2], manifest[3], redis.call('GET', KEYS[2]), answers }
