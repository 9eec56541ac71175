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

-- The answer that this very request has been given before, or nil: a client library sends a script
-- again when its answer was lost, and then it has run already.
local function given(key)
  local packed = redis.call('GET', key)
  return packed and cmsgpack.unpack(packed) or nil
end

-- An answer, kept for so many seconds in case it is lost.
local function give(key, seconds, answer)
  redis.call('SET', key, cmsgpack.pack(answer), 'EX', seconds)
  return answer
end
