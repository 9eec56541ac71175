-- Replace what is kept of a user, unless it has changed since it was looked at.
-- KEYS  user, seen items, users' change index, users' id index
-- ARGV  user_id, history revision it must still have or '', document revision it must still have
--       or '', packed history, events in it, history revision to have or '', document or '', revision of
--       the document or tombstone or '', 't' for a tombstone or '', when the user was created again
--       or 0, then the members of seen items
-- Returns 1, or 0 when it has changed.
local id, history, count, revision = ARGV[1], ARGV[4], ARGV[5], ARGV[6]
if (redis.call('HGET', KEYS[1], 'r') or '') ~= ARGV[2] then return 0 end
if (redis.call('ZSCORE', KEYS[3], id) or '') ~= ARGV[3] then return 0 end
local rates = redis.call('HGET', KEYS[1], 'b')
redis.call('DEL', KEYS[1], KEYS[2])
if ARGV[8] ~= '' then redis.call('ZADD', KEYS[3], ARGV[8], id) else redis.call('ZREM', KEYS[3], id) end
if ARGV[7] ~= '' then redis.call('ZADD', KEYS[4], 0, id) else redis.call('ZREM', KEYS[4], id) end
if ARGV[9] ~= '' then
  redis.call('HSET', KEYS[1], 't', ARGV[8])
  return 1
end
local time = redis.call('TIME')
if history ~= '' or ARGV[7] ~= '' or #ARGV > 10 then
  redis.call('HSET', KEYS[1], 'v', 'rebuilt-' .. time[1] .. '.' .. time[2])
end
if history ~= '' then redis.call('HSET', KEYS[1], 'h', history, 'n', count) end
if revision ~= '' then redis.call('HSET', KEYS[1], 'r', revision) end
if rates then redis.call('HSET', KEYS[1], 'b', rates) end
if ARGV[7] ~= '' then redis.call('HSET', KEYS[1], 'd', ARGV[7]) end
if ARGV[10] ~= '0' then redis.call('HSET', KEYS[1], 'c', ARGV[10]) end
for i = 11, #ARGV, 1000 do
  redis.call('SADD', KEYS[2], unpack(ARGV, i, math.min(i + 999, #ARGV)))
end
return 1
