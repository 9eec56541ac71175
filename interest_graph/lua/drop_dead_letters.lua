-- Delete dead letters for good.
-- KEYS  dead letters, where the answer is kept
-- ARGV  seconds that the answer is kept, then for each letter: its id
-- Returns how many there were.
local before, dropped = given(KEYS[2]), 0
if before then return before end
for i = 2, #ARGV do dropped = dropped + redis.call('XDEL', KEYS[1], ARGV[i]) end
return dropped > 0 and give(KEYS[2], ARGV[1], dropped) or 0
