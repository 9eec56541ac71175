-- Move an entry of the log to the dead letters; a retry after a lost answer finds it gone.
-- KEYS  partition, dead letters, leases
-- ARGV  number of the partition, owner or '' for whoever is alone, entry id, bound on dead letters,
--       kind, payload, revision, reason, since
-- Returns 1; 0 when there is no room, and the entry stays where it was; or -1 when the partition
--       has another owner by now.
if ARGV[2] ~= '' and string.match(redis.call('HGET', KEYS[3], ARGV[1]) or '', ' (.*)$') ~= ARGV[2] then
  return -1
end
if #redis.call('XRANGE', KEYS[1], ARGV[3], ARGV[3]) == 0 then return 1 end
if redis.call('XLEN', KEYS[2]) >= tonumber(ARGV[4]) then return 0 end
redis.call('XADD', KEYS[2], '*', 'kind', ARGV[5], 'payload', ARGV[6], 'revision', ARGV[7], 'reason', ARGV[8], 'since', ARGV[9])
redis.call('XDEL', KEYS[1], ARGV[3])
return 1
