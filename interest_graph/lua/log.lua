-- What the scripts that append to the log have in common; they begin with it.

local function partition_key(number) return 'ig:log:' .. number end

-- Entries of all partitions together.
local function log_length(partitions)
  local length = 0
  for number = 0, partitions - 1 do length = length + redis.call('XLEN', partition_key(number)) end
  return length
end

-- Whether the log has that many partitions; one without a number gets it. Who counts otherwise
-- would put an id's next entry beside those that are there, and its order would be lost.
local function has_partitions(partitions)
  local held = redis.call('GET', 'ig:log:partitions')
  if not held then redis.call('SET', 'ig:log:partitions', partitions) end
  return tonumber(held or partitions) == partitions
end
