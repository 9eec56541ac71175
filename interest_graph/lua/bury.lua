-- Move an entry of the log to the dead letters; a retry after a lost answer finds it gone.
-- KEYS  log, dead letters
-- ARGV  consumer group, entry id, bound on dead letters, kind, payload, revision, reason,
--       since
-- Returns 1; or 0 when there is no room, and the entry stays where it was.
if #redis.call('XRANGE', KEYS[1], ARGV[2], ARGV[2]) == 0 then return 1 end
if redis.call('XLEN', KEYS[2]) >= tonumber(ARGV[3]) then return 0 end
redis.call('XADD', KEYS[2], '*', 'kind', ARGV[4], 'payload', ARGV[5], 'revision', ARGV[6], 'reason', ARGV[7], 'since', ARGV[8])
redis.call('XACK', KEYS[1], ARGV[1], ARGV[2])
redis.call('XDEL', KEYS[1], ARGV[2])
return 1
