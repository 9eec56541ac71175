#!lua flags=allow-oom
-- Say that an ingest worker lives, renew its leases, and give some back or take free ones until it
-- has its fair share: partitions by living workers; what is left goes to the first of them by name.
-- Without memory too: a log that has filled its Redis needs somebody who empties it.
-- KEYS  number of partitions, leases (by partition "until owner"), workers (by when they were seen)
-- ARGV  worker, number of partitions by its settings, lease in ms; 0 to leave and give all back
-- Returns {partitions it owns now, partitions it gave back}; or 'PARTITIONS' when the log has
--       another number of them.
local worker, count, lease = ARGV[1], tonumber(ARGV[2]), tonumber(ARGV[3])
if lease > 0 and not has_partitions(count) then return 'PARTITIONS' end
local time = redis.call('TIME')
local now = time[1] * 1000 + math.floor(time[2] / 1000)
local share = 0
if lease == 0 then
  redis.call('ZREM', KEYS[3], worker)
else
  redis.call('ZADD', KEYS[3], now, worker)
  redis.call('ZREMRANGEBYSCORE', KEYS[3], '-inf', string.format('(%d', now - lease))
  local living = redis.call('ZRANGE', KEYS[3], 0, -1)
  table.sort(living)
  share = math.floor(count / #living)
  for rank = 1, count % #living do
    if living[rank] == worker then share = share + 1 end
  end
end

local mine, free, given_back = {}, {}, {}
for number = 0, count - 1 do
  local over, owner = string.match(redis.call('HGET', KEYS[2], number) or '0 ', '^(%d+) (.*)$')
  if owner == worker then
    mine[#mine + 1] = number
  elseif tonumber(over) < now then
    free[#free + 1] = number
  end
end
while #mine > share do
  given_back[#given_back + 1] = table.remove(mine)
  redis.call('HDEL', KEYS[2], given_back[#given_back])
end
while #mine < share and #free > 0 do mine[#mine + 1] = table.remove(free, 1) end
for _, number in ipairs(mine) do
  redis.call('HSET', KEYS[2], number, string.format('%d %s', now + lease, worker))
end
return {mine, given_back}
