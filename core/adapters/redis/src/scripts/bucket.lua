-- What the scripts of a bucket share. KEYS[1]: its level in parts of a token, and the millisecond of it. At n tokens a
-- minute n parts come back each millisecond, so that nothing is rounded. A bucket that is not there is full, and one
-- that is full again goes by itself: the key's life is what it needs to fill.
local PARTS = 60000
local time = redis.call('TIME')
local now = time[1] * 1000 + math.floor(time[2] / 1000)
local parts, at

local function capacity(burst)
  return math.max(burst, 1) * PARTS
end

local held = redis.call('GET', KEYS[1])
if held then
  local level, moment = string.match(held, '^(%d+) (%d+)$')
  parts, at = tonumber(level), tonumber(moment)
end
local is_known = parts ~= nil

-- Adds what came back since. A clock that stands behind the last moment counts as that moment.
local function fill(per_minute, burst)
  if not parts then
    parts, at = capacity(burst), now
  end
  local passed = math.max(now - at, 0)
  at = math.max(now, at)
  parts = math.min(parts + passed * per_minute, capacity(burst))
end

local function keep(per_minute, burst)
  local missing = capacity(burst) - parts
  if missing <= 0 then
    redis.call('DEL', KEYS[1])
  else
    local level = string.format('%.0f %.0f', parts, at)
    redis.call('SET', KEYS[1], level, 'PX', string.format('%.0f', math.ceil(missing / per_minute)))
  end
end
