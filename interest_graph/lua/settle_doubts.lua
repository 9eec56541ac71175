-- Forget who was put right, unless in doubt anew.
-- KEYS  doubts
-- ARGV  for each: who, and the mark that was seen
-- Returns how many were forgotten.
local settled = 0
for i = 1, #ARGV, 2 do
  if redis.call('HGET', KEYS[1], ARGV[i]) == ARGV[i + 1] then
    settled = settled + redis.call('HDEL', KEYS[1], ARGV[i])
  end
end
return settled
