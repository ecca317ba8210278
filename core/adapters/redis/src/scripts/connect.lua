-- ARGV[2]: so many connections at the most; then fields. Answers 1 for each that is there now, 0 for each refused.
forget_what_is_over()
local limit, added = tonumber(ARGV[2]), {}
for i = 3, #ARGV do
  local field = ARGV[i]
  if known[field] then
    say(field, known[field])
    added[#added + 1] = 1
  elseif count >= limit then
    added[#added + 1] = 0
  else
    say(field, 'o')
    count = count + 1
    added[#added + 1] = 1
  end
end
redis.call('EXPIRE', KEYS[1], life)
return added
