#!lua flags=allow-oom
-- Move an entry of the log to the dead letters, and note who is in doubt by it; a retry after a lost
-- answer finds it gone. Without memory too, since it hardly takes more than it frees.
-- What an erased user did is not kept.
-- KEYS  partition, dead letters, leases, doubts, then the user's hash if it is of one
-- ARGV  number of the partition, owner or '' for whoever is alone, entry id, bound on dead letters,
--       kind, payload, revision, reason, since, a mark that no other call has, then who is in doubt
-- Returns 1 when it is gone from the log; 0 when there is no room, and the entry stays where it was; or -1 when the partition
--       has another owner by now.
if ARGV[2] ~= '' and string.match(redis.call('HGET', KEYS[3], ARGV[1]) or '', ' (.*)$') ~= ARGV[2] then
  return -1
end
if #redis.call('XRANGE', KEYS[1], ARGV[3], ARGV[3]) == 0 then return 1 end
if KEYS[5] and redis.call('HEXISTS', KEYS[5], 't') == 1 then
  redis.call('XDEL', KEYS[1], ARGV[3])
  return 1
end
if redis.call('XLEN', KEYS[2]) >= tonumber(ARGV[4]) then return 0 end
redis.call('XADD', KEYS[2], '*', 'kind', ARGV[5], 'payload', ARGV[6], 'revision', ARGV[7], 'reason', ARGV[8], 'since', ARGV[9])
for i = 11, #ARGV do redis.call('HSET', KEYS[4], ARGV[i], ARGV[10]) end
redis.call('XDEL', KEYS[1], ARGV[3])
return 1
