-- Move dead letters back to the log, all or none.
-- KEYS  dead letters, log
-- ARGV  log bound, then the ids of the letters
-- Returns how many were moved; those that are gone already do not count. Or 'FULL'.
local letters = {}
for i = 2, #ARGV do
  local found = redis.call('XRANGE', KEYS[1], ARGV[i], ARGV[i])
  if #found == 1 then letters[#letters + 1] = found[1] end
end
if redis.call('XLEN', KEYS[2]) + #letters > tonumber(ARGV[1]) then return 'FULL' end
for _, letter in ipairs(letters) do
  local field = {}
  for i = 1, #letter[2], 2 do field[letter[2][i]] = letter[2][i + 1] end
  redis.call('XADD', KEYS[2], '*', 'kind', field.kind, 'payload', field.payload, 'revision', field.revision, 'since', field.since or 0,
             'replayed', 1)
  redis.call('XDEL', KEYS[1], letter[1])
end
return #letters
