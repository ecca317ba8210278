-- ARGV: tokens a minute, burst, tokens; again and again. Gives them back, never above the burst.
if not is_known then return 0 end
for i = 1, #ARGV, 3 do
  local per_minute, burst = tonumber(ARGV[i]), tonumber(ARGV[i + 1])
  fill(per_minute, burst)
  parts = math.min(parts + tonumber(ARGV[i + 2]) * PARTS, capacity(burst))
end
keep(tonumber(ARGV[#ARGV - 2]), tonumber(ARGV[#ARGV - 1]))
return 0
