-- ARGV: tokens a minute, burst, tokens; again and again. Each is granted or refused by itself, and a refusal takes
-- nothing. Answers what is left, or the milliseconds to wait, negative.
local answers, last = {}, nil
for i = 1, #ARGV, 3 do
  local per_minute, burst = tonumber(ARGV[i]), tonumber(ARGV[i + 1])
  local wanted = tonumber(ARGV[i + 2]) * PARTS
  fill(per_minute, burst)
  if parts >= wanted then
    parts = parts - wanted
    last = i
    answers[#answers + 1] = math.floor(parts / PARTS)
  else
    answers[#answers + 1] = -math.ceil((wanted - parts) / per_minute)
  end
end
if last then keep(tonumber(ARGV[last]), tonumber(ARGV[last + 1])) end
return answers
