-- Accept all events of a request or none.
-- KEYS  log, history revision, then for each event: duplicate key, user, seen items
-- ARGV  log bound, duplicate window in s, events a history keeps, seen items a user keeps,
--       then for each event: log entry (JSON), body hash, packed history entry, seen member or ''
-- Returns {history_revision, status of each event}: 0 accepted, 1 duplicate, 2 conflict,
--       3 deleted user, 4 before the user was created again; or 'FULL'.
local bound, window = tonumber(ARGV[1]), tonumber(ARGV[2])
local keep, seen_bound = tonumber(ARGV[3]), tonumber(ARGV[4])
local count = (#KEYS - 2) / 3
local HEAD = 9 -- u48 time, u8 event type, u8 length of event_id, u8 length of item_id
local TAIL = 8 -- u48 history revision, u16 length of the entry

-- Byte order whatever the server's locale: -1, 0 or 1.
local function compare(a, b)
  local shared = math.min(#a, #b)
  for i = 1, shared do
    local x, y = string.byte(a, i), string.byte(b, i)
    if x ~= y then return x < y and -1 or 1 end
  end
  if #a == #b then return 0 end
  return #a < #b and -1 or 1
end

local function occurred_at(entry)
  local at = 0
  for i = 1, 6 do at = at * 256 + string.byte(entry, i) end
  return at
end

local function order_key(history, start)
  local length = string.byte(history, start + 7)
  return string.sub(history, start, start + 5) .. string.sub(history, start + HEAD, start + HEAD + length - 1)
end

local function entry_length_before(history, stop)
  return string.byte(history, stop - 1) * 256 + string.byte(history, stop)
end

local function first_length(history)
  return HEAD + string.byte(history, 8) + string.byte(history, 9) + TAIL
end

-- The entry with its history revision, which only this script knows.
local function stamped(entry, revision)
  local bytes = {}
  for i = 6, 1, -1 do
    bytes[i] = string.char(revision % 256)
    revision = math.floor(revision / 256)
  end
  return string.sub(entry, 1, #entry - TAIL) .. table.concat(bytes) .. string.sub(entry, #entry - 1)
end

-- A resend after the duplicate window is the event that the history holds, whatever its time.
local function holds(history, entry)
  local id = string.sub(entry, HEAD + 1, HEAD + string.byte(entry, 8))
  if not string.find(history, id, 1, true) then return false end
  local stop = #history
  while stop > 0 do
    local start = stop - entry_length_before(history, stop) + 1
    if string.sub(history, start + HEAD, start + HEAD + string.byte(history, start + 7) - 1) == id then
      return true
    end
    stop = start - 1
  end
  return false
end

-- Insert by (occurred_at, event_id), walking from the newest end, and keep the newest.
local function insert(history, entry, size)
  if holds(history, entry) then return history, size end
  local key, stop = order_key(entry, 1), #history
  while stop > 0 do
    local start = stop - entry_length_before(history, stop) + 1
    if compare(order_key(history, start), key) < 0 then break end
    stop = start - 1
  end
  history = string.sub(history, 1, stop) .. entry .. string.sub(history, stop + 1)
  size = size + 1
  while size > keep do
    history = string.sub(history, first_length(history) + 1)
    size = size - 1
  end
  return history, size
end

local statuses, fresh, sent = {}, 0, {}
for i = 1, count do
  local duplicate_key, body = KEYS[3 * i], ARGV[4 * i + 2]
  local known = sent[duplicate_key] or redis.call('GET', duplicate_key)
  if known then
    statuses[i] = known == body and 1 or 2
  elseif redis.call('HEXISTS', KEYS[3 * i + 1], 't') == 1 then
    statuses[i] = 3
  elseif occurred_at(ARGV[4 * i + 3]) < tonumber(redis.call('HGET', KEYS[3 * i + 1], 'c') or 0) then
    statuses[i] = 4
  else
    statuses[i], sent[duplicate_key], fresh = 0, body, fresh + 1
  end
end
-- A later list of anyone in this request shows at least the revision that is answered: who waits
-- for it would wait for ever after a resend.
local function shown(revision)
  for i = 1, count do
    local user = KEYS[3 * i + 1]
    if statuses[i] == 1 and redis.call('HEXISTS', user, 'h') == 1 then
      redis.call('HSET', user, 'r', revision)
    end
  end
end

if fresh == 0 then
  local reached = tonumber(redis.call('GET', KEYS[2]) or '0')
  shown(reached)
  return {reached, statuses}
end
if redis.call('XLEN', KEYS[1]) + fresh > bound then return 'FULL' end

local revision = redis.call('INCR', KEYS[2])
local histories, sizes = {}, {} -- a user's history is read and written once a request
for i = 1, count do
  if statuses[i] == 0 then
    local user, seen, member = KEYS[3 * i + 1], KEYS[3 * i + 2], ARGV[4 * i + 4]
    redis.call('XADD', KEYS[1], '*', 'kind', 'event', 'payload', ARGV[4 * i + 1])
    redis.call('SET', KEYS[3 * i], ARGV[4 * i + 2], 'EX', window)
    if histories[user] == nil then
      local stored = redis.call('HMGET', user, 'h', 'n')
      histories[user], sizes[user] = stored[1] or '', tonumber(stored[2] or '0')
    end
    histories[user], sizes[user] = insert(histories[user], stamped(ARGV[4 * i + 3], revision), sizes[user])
    if member ~= '' and redis.call('SADD', seen, member) == 1 and redis.call('SCARD', seen) > seen_bound then
      redis.call('SPOP', seen)
    end
  end
end
for user, history in pairs(histories) do
  redis.call('HSET', user, 'h', history, 'n', sizes[user], 'r', revision)
end
shown(revision)
return {revision, statuses}
