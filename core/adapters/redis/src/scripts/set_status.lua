-- ARGV from 2: a field, what it says. Answers two letters for each: the user's status before and after.
forget_what_is_over()
local changes = {}
for i = 2, #ARGV, 2 do
  local before = status()
  if known[ARGV[i]] then say(ARGV[i], ARGV[i + 1]) end
  changes[#changes + 1] = before .. status()
end
redis.call('EXPIRE', KEYS[1], life)
return changes
