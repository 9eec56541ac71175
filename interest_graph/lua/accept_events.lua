-- Accept all events of a request or none.
-- KEYS  history revision, where the answer is kept, a hash, then for each event: duplicate key,
--       user, seen items, partition of the log
-- ARGV  log bound, number of partitions, duplicate window in s, events a history keeps,
--       seen items a user keeps, events a day, events a burst window, that window in s, repeats,
--       their window in ms (beyond which live events are flagged; 0: never), seconds that the
--       answer is kept, a field of that hash and what it must hold ('': anything),
--       then for each event: log entry (JSON), body hash, packed history entry, seen member or '',
--       'live' when rates may flag it, 'flagged' when the entry is flagged already, or ''
-- Returns {history_revision, status of each event, flag of each or ''}; the statuses: 0 accepted,
--       1 duplicate, 2 conflict, 3 deleted user, 4 before the user was created again; or 'FULL',
--       'PARTITIONS', 'CHANGED' when the field holds something else.
local bound, partitions, window = tonumber(ARGV[1]), tonumber(ARGV[2]), tonumber(ARGV[3])
local keep, seen_bound = tonumber(ARGV[4]), tonumber(ARGV[5])
local day_limit, burst_limit, burst_window = tonumber(ARGV[6]), tonumber(ARGV[7]), tonumber(ARGV[8])
local repeat_limit, repeat_window, seconds = tonumber(ARGV[9]), tonumber(ARGV[10]), ARGV[11]
local field, held = ARGV[12], ARGV[13]
local count = (#KEYS - 3) / 4
local DAY = 86400
local before = given(KEYS[2])
if before then return before end
if held ~= '' and redis.call('HGET', KEYS[3], field) ~= held then return 'CHANGED' end
if not has_partitions(partitions) then return 'PARTITIONS' end
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

local function argument(i, place)
  return ARGV[13 + 5 * (i - 1) + place]
end

local function occurred_at(history, start)
  local a, b, c, d, e, f = string.byte(history, start, start + 5)
  return ((((a * 256 + b) * 256 + c) * 256 + d) * 256 + e) * 256 + f
end

local function order_key(history, start)
  local length = string.byte(history, start + 7)
  return string.sub(history, start, start + 5) .. string.sub(history, start + HEAD, start + HEAD + length - 1)
end

local function entry_length_before(history, stop)
  return string.byte(history, stop - 1) * 256 + string.byte(history, stop)
end

local function entry_length_at(history, start)
  return HEAD + string.byte(history, start + 7) + string.byte(history, start + 8) + TAIL
end

-- Whether the event that ends at a place of a history comes before a key.
local function is_before(history, stop, key)
  return compare(order_key(history, stop - entry_length_before(history, stop) + 1), key) < 0
end

local function has_event(history, id)
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

-- What is kept of a user, read once a request. Lua hashes every string that it makes, all of a
-- history for one more event: what comes at its newest end waits in `newer`, what leaves at its
-- oldest end is counted in `gone`, and `whole` makes one string of them.
local users = {}
local function kept(user)
  if users[user] == nil then
    local stored = redis.call('HMGET', user, 'h', 'n', 'b', 't', 'c')
    users[user] = {history = stored[1] or '', size = tonumber(stored[2] or '0'), rates = stored[3] or '',
                   deleted = stored[4], since = tonumber(stored[5] or '0'),
                   newer = {}, gone = 0, told = false, wrote = false}
  end
  return users[user]
end

local function whole(user)
  if user.gone > 0 then user.history = string.sub(user.history, user.gone + 1) end
  if #user.newer > 0 then user.history = user.history .. table.concat(user.newer) end
  user.newer, user.gone = {}, 0
  return user.history
end

-- A resend after the duplicate window is the event that the history holds, whatever its time. Two
-- events of one request with one id never come so far.
local function holds(user, id)
  return string.find(user.history, id, user.gone + 1, true) ~= nil and has_event(whole(user), id)
end

-- Insert by (occurred_at, event_id), and keep the newest.
local function insert(user, entry)
  if holds(user, string.sub(entry, HEAD + 1, HEAD + string.byte(entry, 8))) then return end
  local key = order_key(entry, 1)
  local newer, place = user.newer, #user.newer + 1
  while place > 1 and not is_before(newer[place - 1], #newer[place - 1], key) do place = place - 1 end
  if place > 1 or user.history == '' or is_before(user.history, #user.history, key) then
    table.insert(newer, place, entry)
  else
    local history = whole(user)
    local stop = #history
    while stop > 0 and not is_before(history, stop, key) do
      stop = stop - entry_length_before(history, stop)
    end
    user.history = string.sub(history, 1, stop) .. entry .. string.sub(history, stop + 1)
  end
  user.size = user.size + 1
  while user.size > keep do
    if user.gone == #user.history then whole(user) end
    user.gone = user.gone + entry_length_at(user.history, user.gone + 1)
    user.size = user.size - 1
  end
end

-- Whether a text stands in a user's history at least so often: a bound that costs little.
local function mentions(user, text, least)
  local found, at = 0, string.find(user.history, text, user.gone + 1, true)
  while at and found < least do
    found, at = found + 1, string.find(user.history, text, at + 1, true)
  end
  for _, entry in ipairs(user.newer) do
    if string.find(entry, text, 1, true) then found = found + 1 end
  end
  return found >= least
end

-- Whether a history holds enough events of an entry's item and type within the repeat window.
local function repeated(user, entry)
  local kind, id_length, item_length = string.byte(entry, 7, HEAD)
  local item = string.sub(entry, HEAD + id_length + 1, HEAD + id_length + item_length)
  if not mentions(user, item, repeat_limit) then return false end
  local history = whole(user)
  local since, stop, found = occurred_at(entry, 1) - repeat_window, #history, 0
  while stop > 0 and found < repeat_limit do
    local start = stop - entry_length_before(history, stop) + 1
    if occurred_at(history, start) <= since then return false end
    local other_kind, other_id_length = string.byte(history, start + 6, start + 7)
    local from = start + HEAD + other_id_length
    if other_kind == kind and string.sub(history, from, stop - TAIL) == item then found = found + 1 end
    stop = start - 1
  end
  return found >= repeat_limit
end

-- Why a live event is flagged, or ''; counts it in. Days and burst windows are the server's.
local time = redis.call('TIME')
local now = tonumber(time[1])
local today, this_window = math.floor(now / DAY), math.floor(now / burst_window)
local RATES = '>I4I4I4I4' -- day, events of that day, burst window, events of that window
local function judged(user, entry)
  local day, of_day, window_then, of_window = 0, 0, 0, 0
  if user.rates ~= '' then day, of_day, window_then, of_window = struct.unpack(RATES, user.rates) end
  of_day = (day == today and of_day or 0) + 1
  of_window = (window_then == this_window and of_window or 0) + 1
  user.rates = struct.pack(RATES, today, of_day, this_window, of_window)
  if day_limit > 0 and of_day > day_limit then return 'bot' end
  if burst_limit > 0 and of_window > burst_limit then return 'burst' end
  return repeat_limit > 0 and repeated(user, entry) and 'repeat' or ''
end

local statuses, fresh, sent = {}, 0, {}
for i = 1, count do
  local duplicate_key, body = KEYS[4 * i], argument(i, 2)
  local known = sent[duplicate_key] or redis.call('GET', duplicate_key)
  if known then
    statuses[i] = known == body and 1 or 2
  elseif kept(KEYS[4 * i + 1]).deleted then
    statuses[i] = 3
  elseif occurred_at(argument(i, 3), 1) < kept(KEYS[4 * i + 1]).since then
    statuses[i] = 4
  else
    statuses[i], sent[duplicate_key], fresh = 0, body, fresh + 1
  end
end
-- A later list of anyone in this request shows at least the revision that is answered: who waits
-- for it would wait for ever after a resend.
local function shown(revision)
  for i = 1, count do
    local user = KEYS[4 * i + 1]
    if statuses[i] == 1 and redis.call('HEXISTS', user, 'r') == 1 then
      redis.call('HSET', user, 'r', revision)
    end
  end
end

if fresh == 0 then
  local reached = tonumber(redis.call('GET', KEYS[1]) or '0')
  shown(reached)
  return {reached, statuses, {}}
end
if log_length(partitions) + fresh > bound then return 'FULL' end

local revision, flags = redis.call('INCR', KEYS[1]), {}
local stamp = struct.pack('>I6', revision)
-- The entry with its history revision, which only this script knows.
local function stamped(entry)
  return string.sub(entry, 1, #entry - TAIL) .. stamp .. string.sub(entry, #entry - 1)
end

for i = 1, count do
  flags[i] = ''
  if statuses[i] == 0 then
    local user, seen, member = kept(KEYS[4 * i + 1]), KEYS[4 * i + 2], argument(i, 4)
    local payload, entry, state = argument(i, 1), argument(i, 3), argument(i, 5)
    user.told = true
    if state == 'live' then flags[i] = judged(user, entry) end
    if flags[i] ~= '' then payload = string.sub(payload, 1, -2) .. ',"flagged":"' .. flags[i] .. '"}' end
    redis.call('XADD', KEYS[4 * i + 3], '*', 'kind', 'event', 'payload', payload)
    redis.call('SET', KEYS[4 * i], argument(i, 2), 'EX', window)
    if flags[i] == '' and state ~= 'flagged' then
      insert(user, stamped(entry))
      user.wrote = true
      if member ~= '' and redis.call('SADD', seen, member) == 1 and redis.call('SCARD', seen) > seen_bound then
        redis.call('SPOP', seen)
      end
    end
  end
end
for key, user in pairs(users) do
  if user.wrote then
    redis.call('HSET', key, 'h', whole(user), 'n', user.size, 'r', revision, 'b', user.rates,
               'v', revision .. '-' .. time[1] .. '.' .. time[2])
  elseif user.told then
    redis.call('HSET', key, 'r', revision, 'b', user.rates)
  end
end
shown(revision)
return give(KEYS[2], seconds, {revision, statuses, flags})
