#!lua flags=allow-oom
-- Remove entries whose effect is committed, and note who is in doubt by it. Without memory too, since
-- it frees more than it takes.
-- KEYS  partition, leases, doubts
-- ARGV  number of the partition, owner or '' for whoever is alone, a mark that no other call has, how
--       many are in doubt, these, then the ids of the entries
-- Returns 1; or 0 when the partition has another owner by now, and nothing is removed.
if ARGV[2] ~= '' and string.match(redis.call('HGET', KEYS[2], ARGV[1]) or '', ' (.*)$') ~= ARGV[2] then
  return 0
end
local first = 5 + tonumber(ARGV[4])
for i = 5, first - 1 do redis.call('HSET', KEYS[3], ARGV[i], ARGV[3]) end
for i = first, #ARGV, 1000 do redis.call('XDEL', KEYS[1], unpack(ARGV, i, math.min(i + 999, #ARGV))) end
return 1
