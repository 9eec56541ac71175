#!lua flags=allow-oom
-- Give the log its number of partitions, and another one only while it is empty.
-- Without memory too: whoever empties a full log begins with it.
-- KEYS  number of partitions, leases, the log as it was before it had partitions
-- ARGV  number wanted
-- Returns {number held, entries in the log}; the number is 0 for a log from before partitions.
local wanted = tonumber(ARGV[1])
local old = redis.call('XLEN', KEYS[3])
if old > 0 then return {0, old} end
local held = tonumber(redis.call('GET', KEYS[1]) or wanted)
local length = log_length(held)
if held ~= wanted and length == 0 then
  for number = 0, held - 1 do redis.call('DEL', partition_key(number)) end
  redis.call('DEL', KEYS[2])
  held = wanted
end
redis.call('SET', KEYS[1], held)
return {held, length}
