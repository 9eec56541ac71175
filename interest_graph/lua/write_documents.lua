-- Write or delete documents of items or users, all or none, and append each to the log.
-- KEYS  revision, change index (sorted by revision), id index (sorted by id), the hash of all
--       documents of items, where the answer is kept, then for each: its partition of the log, and
--       of users each one's hash and seen items
-- ARGV  log bound, number of partitions, seconds that the answer is kept, kind ('item' or 'user'),
--       then for each: id, document or '' to delete, revision it must still have or ''
-- Returns {revision, status of each}: 0 written, 1 changed meanwhile, 2 nothing there to delete;
--       or 'FULL', 'PARTITIONS'.
local bound, partitions, seconds, kind = tonumber(ARGV[1]), tonumber(ARGV[2]), ARGV[3], ARGV[4]
local count = (#ARGV - 4) / 3
local before = given(KEYS[5])
if before then return before end
if not has_partitions(partitions) then return 'PARTITIONS' end
if log_length(partitions) + count > bound then return 'FULL' end

local step = kind == 'item' and 1 or 3
local function key(i, place) return KEYS[5 + step * (i - 1) + place] end
local STREAM, USER, SEEN = 1, 2, 3

local function exists(i, id)
  if kind == 'item' then return redis.call('HEXISTS', KEYS[4], id) == 1 end
  return redis.call('HEXISTS', key(i, USER), 'd') == 1 or redis.call('HEXISTS', key(i, USER), 'r') == 1
end

local statuses, writes = {}, 0
for i = 1, count do
  local id, document, expected = ARGV[3 * i + 2], ARGV[3 * i + 3], ARGV[3 * i + 4]
  statuses[i] = 0
  if expected ~= '' and (redis.call('ZSCORE', KEYS[2], id) or '0') ~= expected then
    statuses[i] = 1
  elseif document == '' and not exists(i, id) then
    statuses[i] = 2
  else
    writes = writes + 1
  end
end
if writes == 0 then return {tonumber(redis.call('GET', KEYS[1]) or '0'), statuses} end

local now = redis.call('TIME')
local now_ms = now[1] * 1000 + math.floor(now[2] / 1000)
local revision = redis.call('INCR', KEYS[1])
for i = 1, count do
  local id, document = ARGV[3 * i + 2], ARGV[3 * i + 3]
  if statuses[i] == 0 then
    redis.call('ZADD', KEYS[2], revision, id)
    local gone, again = document == '', 0
    if gone then
      redis.call('ZREM', KEYS[3], id)
    else
      redis.call('ZADD', KEYS[3], 0, id)
    end
    if kind == 'item' then
      if gone then redis.call('HDEL', KEYS[4], id) else redis.call('HSET', KEYS[4], id, document) end
    elseif gone then
      redis.call('DEL', key(i, USER), key(i, SEEN))
      redis.call('HSET', key(i, USER), 't', revision)
    else
      -- Who was deleted and comes again has no past: what happened before is refused from now on.
      if redis.call('HDEL', key(i, USER), 't') == 1 then
        redis.call('HSET', key(i, USER), 'c', string.format('%d', now_ms))
      end
      redis.call('HSET', key(i, USER), 'd', document,
                 'v', 'document-' .. revision .. '-' .. now[1] .. '.' .. now[2])
      again = redis.call('HGET', key(i, USER), 'c') or 0
    end
    redis.call('XADD', key(i, STREAM), '*', 'kind', (gone and 'delete_' or '') .. kind,
               'payload', gone and id or document, 'revision', revision, 'since', again)
  end
end
return give(KEYS[5], seconds, {revision, statuses})
