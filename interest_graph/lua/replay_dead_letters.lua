-- Move dead letters back to the log, all or none.
-- KEYS  dead letters, where the answer is kept, then for each letter: its partition
-- ARGV  log bound, number of partitions, seconds that the answer is kept, then for each letter: its
--       id
-- Returns how many were moved; those that are gone already do not count. Or 'FULL', 'PARTITIONS'.
local before, bound, partitions = given(KEYS[2]), tonumber(ARGV[1]), tonumber(ARGV[2])
if before then return before end
if not has_partitions(partitions) then return 'PARTITIONS' end
local letters = {}
for i = 4, #ARGV do
  local found = redis.call('XRANGE', KEYS[1], ARGV[i], ARGV[i])
  if #found == 1 then letters[#letters + 1] = {KEYS[i - 1], found[1]} end
end
if log_length(partitions) + #letters > bound then return 'FULL' end
for _, row in ipairs(letters) do
  local stream, letter, field = row[1], row[2], {}
  for i = 1, #letter[2], 2 do field[letter[2][i]] = letter[2][i + 1] end
  redis.call('XADD', stream, '*', 'kind', field.kind, 'payload', field.payload, 'revision', field.revision or 0, 'since', field.since or 0,
             'replayed', 1)
  redis.call('XDEL', KEYS[1], letter[1])
end
return #letters > 0 and give(KEYS[2], ARGV[3], #letters) or 0
