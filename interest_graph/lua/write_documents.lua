-- Write or delete documents of items or users, all or none, and append each to the log.
-- KEYS  log, revision, change index (sorted by revision), id index (sorted by id),
--       then for items: the hash of all documents; for users: each user's hash and seen items
-- ARGV  log bound, kind ('item' or 'user'), then for each: id, document or '' to delete,
--       revision it must still have or ''
-- Returns {revision, status of each}: 0 written, 1 changed meanwhile, 2 nothing there to delete;
--       or 'FULL'.
local bound, kind = tonumber(ARGV[1]), ARGV[2]
local count = (#ARGV - 2) / 3
if redis.call('XLEN', KEYS[1]) + count > bound then return 'FULL' end

local function exists(i, id)
  if kind == 'item' then return redis.call('HEXISTS', KEYS[5], id) == 1 end
  return redis.call('HEXISTS', KEYS[3 + 2 * i], 'd') == 1
      or redis.call('HEXISTS', KEYS[3 + 2 * i], 'r') == 1
end

local statuses, writes = {}, 0
for i = 1, count do
  local id, document, expected = ARGV[3 * i], ARGV[3 * i + 1], ARGV[3 * i + 2]
  statuses[i] = 0
  if expected ~= '' and (redis.call('ZSCORE', KEYS[3], id) or '0') ~= expected then
    statuses[i] = 1
  elseif document == '' and not exists(i, id) then
    statuses[i] = 2
  else
    writes = writes + 1
  end
end
if writes == 0 then return {tonumber(redis.call('GET', KEYS[2]) or '0'), statuses} end

local now = redis.call('TIME')
local now_ms = now[1] * 1000 + math.floor(now[2] / 1000)
local revision = redis.call('INCR', KEYS[2])
for i = 1, count do
  local id, document = ARGV[3 * i], ARGV[3 * i + 1]
  if statuses[i] == 0 then
    redis.call('ZADD', KEYS[3], revision, id)
    local gone, again = document == '', 0
    if gone then
      redis.call('ZREM', KEYS[4], id)
    else
      redis.call('ZADD', KEYS[4], 0, id)
    end
    if kind == 'item' then
      if gone then redis.call('HDEL', KEYS[5], id) else redis.call('HSET', KEYS[5], id, document) end
    elseif gone then
      redis.call('DEL', KEYS[3 + 2 * i], KEYS[4 + 2 * i])
      redis.call('HSET', KEYS[3 + 2 * i], 't', revision)
    else
      -- Who was deleted and comes again has no past: what happened before is refused from now on.
      if redis.call('HDEL', KEYS[3 + 2 * i], 't') == 1 then
        redis.call('HSET', KEYS[3 + 2 * i], 'c', string.format('%d', now_ms))
      end
      redis.call('HSET', KEYS[3 + 2 * i], 'd', document)
      again = redis.call('HGET', KEYS[3 + 2 * i], 'c') or 0
    end
    redis.call('XADD', KEYS[1], '*', 'kind', (gone and 'delete_' or '') .. kind,
               'payload', gone and id or document, 'revision', revision, 'since', again)
  end
end
return {revision, statuses}
