-- ARGV: tokens a minute, burst, tokens; again and again. Takes them all and answers nothing, or, where they are not all
-- there, takes none and answers the level in parts of a token.
local before = nil
for i = 1, #ARGV, 3 do
  local per_minute, burst = tonumber(ARGV[i]), tonumber(ARGV[i + 1])
  local wanted = tonumber(ARGV[i + 2]) * PARTS
  fill(per_minute, burst)
  before = before or parts
  if parts < wanted then return { before } end
  parts = parts - wanted
end
keep(tonumber(ARGV[#ARGV - 2]), tonumber(ARGV[#ARGV - 1]))
return {}
