-- Replace what is kept of an item, unless a newer document is there.
-- KEYS  documents of items, items' change index, items' id index
-- ARGV  item_id, revision, document or '' for a deleted item
-- Returns 1, or 0 when a newer document is there.
local id, revision, document = ARGV[1], tonumber(ARGV[2]), ARGV[3]
local known = redis.call('ZSCORE', KEYS[2], id)
if known and tonumber(known) > revision then return 0 end
if revision > 0 then redis.call('ZADD', KEYS[2], revision, id) else redis.call('ZREM', KEYS[2], id) end
if document == '' then
  redis.call('HDEL', KEYS[1], id)
  redis.call('ZREM', KEYS[3], id)
else
  redis.call('HSET', KEYS[1], id, document)
  redis.call('ZADD', KEYS[3], 0, id)
end
return 1
