-- Hold the right to roll out, or go on holding it: nobody else may meanwhile.
-- KEYS  the right
-- ARGV  holder, milliseconds that it is held; 0 gives it back
-- Returns 1 when it is the holder's, 0 when it is somebody else's.
local holder = redis.call('GET', KEYS[1])
if holder and holder ~= ARGV[1] then return 0 end
if tonumber(ARGV[2]) > 0 then
  redis.call('SET', KEYS[1], ARGV[1], 'PX', ARGV[2])
else
  redis.call('DEL', KEYS[1])
end
return 1
