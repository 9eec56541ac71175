-- Append entries of a backup to the log, or to the dead letters.
-- KEYS  where the answer is kept, then for each entry: its partition, or the dead letters
-- ARGV  seconds that the answer is kept, how many names and values each entry has, then those of
--       each entry
-- Returns how many were appended.
local before, width = given(KEYS[1]), tonumber(ARGV[2])
if before then return before end
for i = 1, #KEYS - 1 do
  redis.call('XADD', KEYS[i + 1], '*', unpack(ARGV, 3 + width * (i - 1), 2 + width * i))
end
return give(KEYS[1], ARGV[1], #KEYS - 1)
