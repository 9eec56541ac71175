-- Remove entries whose effect is committed.
-- KEYS  partition, leases
-- ARGV  number of the partition, owner or '' for whoever is alone, then the ids of the entries
-- Returns 1; or 0 when the partition has another owner by now, and nothing is removed.
if ARGV[2] ~= '' and string.match(redis.call('HGET', KEYS[2], ARGV[1]) or '', ' (.*)$') ~= ARGV[2] then
  return 0
end
for i = 3, #ARGV, 1000 do redis.call('XDEL', KEYS[1], unpack(ARGV, i, math.min(i + 999, #ARGV))) end
return 1
