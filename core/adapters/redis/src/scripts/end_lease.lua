-- ARGV[2]: a slot, ARGV[3]: an epoch of 16 hexadecimal digits. Forgets what the slot's earlier epochs had here.
forget_what_is_over()
local prefix, before = ARGV[2] .. ':', ARGV[3]
local earlier = {}
for field in pairs(known) do
  local start = #prefix + 1
  if string.sub(field, 1, #prefix) == prefix and string.sub(field, start, start + 15) < before then
    earlier[#earlier + 1] = field
  end
end
for _, field in ipairs(earlier) do forget(field) end
return #earlier
