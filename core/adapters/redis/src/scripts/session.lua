-- What the scripts of a user's connections share. KEYS[1]: a hash of slot:epoch:number to what the connection says (a
-- letter), and when it was last heard of (seconds). ARGV[1]: seconds after which one that nobody ended counts no more.
local life = tonumber(ARGV[1])
local now = tonumber(redis.call('TIME')[1])
local weights = { d = 3, o = 2, a = 1, f = 0 }
local known, count, over = {}, 0, {}

local rows = redis.call('HGETALL', KEYS[1])
for i = 1, #rows, 2 do
  local heard = tonumber(string.sub(rows[i + 1], 2))
  if heard and heard + life > now then
    known[rows[i]] = string.sub(rows[i + 1], 1, 1)
    count = count + 1
  else
    over[#over + 1] = rows[i]
  end
end

-- The status over all connections: the greatest weight.
local function status()
  local best = 'f'
  for _, said in pairs(known) do
    if (weights[said] or 0) > weights[best] then best = said end
  end
  return best
end

local function say(field, said)
  redis.call('HSET', KEYS[1], field, said .. string.format('%.0f', now))
  known[field] = said
end

local function forget(field)
  redis.call('HDEL', KEYS[1], field)
  known[field] = nil
end

-- Called by the scripts that write.
local function forget_what_is_over()
  for _, field in ipairs(over) do forget(field) end
end
