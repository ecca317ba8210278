-- ARGV from 2: fields. Answers two letters for each: the user's status before and after.
forget_what_is_over()
local changes = {}
for i = 2, #ARGV do
  local before = status()
  if known[ARGV[i]] then forget(ARGV[i]) end
  changes[#changes + 1] = before .. status()
end
return changes
