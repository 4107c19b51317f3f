-- The limits of one key, held together by several gateways: what limits.py does in one process, as one atomic script.
--
-- KEYS  1 hash: "tokens" and "requests" (charged within the window) and, for each gateway with open requests, "open:ID",
--         "held:ID" (tokens reserved), "since:ID" (when it opened the first of them), "seen:ID" (when it was last heard of)
--       2 list of "EXPIRES_MS AMOUNT": tokens charged, by slot
--       3 list of the same: requests charged
-- ARGV  1 action: admit, settle or touch   2 milliseconds now (-1: by the clock of Redis)   3 window   4 slot   5 lease
--       6 ID of the gateway
--       admit:  7 tokens that the request may use   8 tokens a window   9 requests a window   10 requests open (-1: no limit)
--       settle: 7 "since" as admit returned it   8 tokens reserved   9 tokens used
local key = KEYS[1]
local lists = {tokens = KEYS[2], requests = KEYS[3]}
local action, id = ARGV[1], ARGV[6]
local now, window, slot, lease = tonumber(ARGV[2]), tonumber(ARGV[3]), tonumber(ARGV[4]), tonumber(ARGV[5])
if now < 0 then
  local time = redis.call('TIME')
  now = tonumber(time[1]) * 1000 + math.floor(tonumber(time[2]) / 1000)
end

local function whole(number)
  -- Lua writes -0 as "-0", which Redis takes for no number.
  return string.format('%.0f', number == 0 and 0 or number)
end

local function read_slot(text)
  local expires, amount = string.match(text, '^(%d+) (%d+)$')
  return tonumber(expires), tonumber(amount)
end

local function expire(kind)
  local first = redis.call('LINDEX', lists[kind], 0)
  while first do
    local expires, amount = read_slot(first)
    if expires > now then
      return
    end
    redis.call('LPOP', lists[kind])
    redis.call('HINCRBY', key, kind, whole(-amount))
    first = redis.call('LINDEX', lists[kind], 0)
  end
end

local function charge(kind, used)
  if used <= 0 then
    return
  end
  redis.call('HINCRBY', key, kind, whole(used))
  local expires = (math.floor(now / slot) + 1) * slot + window
  local last = redis.call('LINDEX', lists[kind], -1)
  if last then
    local last_expires, amount = read_slot(last)
    if last_expires >= expires then
      redis.call('LSET', lists[kind], -1, whole(last_expires) .. ' ' .. whole(amount + used))
      return
    end
  end
  redis.call('RPUSH', lists[kind], whole(expires) .. ' ' .. whole(used))
end

local function forget(gateway)
  redis.call('HDEL', key, 'open:' .. gateway, 'held:' .. gateway, 'since:' .. gateway, 'seen:' .. gateway)
end

-- Drops gateways that were not heard of for longer than the lease, charging all that they held. Returns requests open
-- and tokens held by the others.
local function sum_open()
  local fields, open, held = {}, 0, 0
  local listed = redis.call('HGETALL', key)
  for place = 1, #listed, 2 do
    fields[listed[place]] = listed[place + 1]
  end
  for name, seen in pairs(fields) do
    local gateway = string.match(name, '^seen:(.*)$')
    if gateway then
      local its_held = tonumber(fields['held:' .. gateway])
      if tonumber(seen) + lease < now then
        charge('tokens', its_held)
        forget(gateway)
      else
        open = open + tonumber(fields['open:' .. gateway])
        held = held + its_held
      end
    end
  end
  return open, held
end

local function count_left(kind, limit, held)
  return limit - held - tonumber(redis.call('HGET', key, kind) or '0')
end

-- Milliseconds until so much more has left the window; -1 where that depends on open requests.
local function count_wait(kind, missing)
  if missing <= 0 then
    return 0
  end
  for _, text in ipairs(redis.call('LRANGE', lists[kind], 0, -1)) do
    local expires, amount = read_slot(text)
    missing = missing - amount
    if missing <= 0 then
      return expires - now
    end
  end
  return -1
end

-- Returns 1 where the request was let in, requests open before it, what is left of tokens and requests, how long both
-- may take to suffice, and "since".
local function admit()
  local amount, max_tokens, max_requests, max_open =
    tonumber(ARGV[7]), tonumber(ARGV[8]), tonumber(ARGV[9]), tonumber(ARGV[10])
  local open, held = sum_open()
  local tokens_left, requests_left = count_left('tokens', max_tokens, held), count_left('requests', max_requests, 0)
  local is_full = (max_open >= 0 and open >= max_open) or (max_requests >= 0 and requests_left < 1)
    or (max_tokens >= 0 and tokens_left < amount)
  if is_full then
    local tokens_wait = max_tokens >= 0 and count_wait('tokens', amount - tokens_left) or 0
    local requests_wait = max_requests >= 0 and count_wait('requests', 1 - requests_left) or 0
    return {0, open, tokens_left, requests_left, tokens_wait, requests_wait, '0'}
  end
  redis.call('HINCRBY', key, 'open:' .. id, 1)
  redis.call('HINCRBY', key, 'held:' .. id, whole(amount))
  redis.call('HSETNX', key, 'since:' .. id, whole(now))
  redis.call('HSET', key, 'seen:' .. id, whole(now))
  charge('requests', 1)
  return {1, open, tokens_left - amount, requests_left - 1, 0, 0, redis.call('HGET', key, 'since:' .. id)}
end

-- Does nothing where the lease was over before: then all that was reserved is charged already.
local function settle()
  if redis.call('HGET', key, 'since:' .. id) ~= ARGV[7] then
    return 0
  end
  redis.call('HSET', key, 'seen:' .. id, whole(now))
  redis.call('HINCRBY', key, 'held:' .. id, whole(-tonumber(ARGV[8])))
  if redis.call('HINCRBY', key, 'open:' .. id, -1) == 0 then
    forget(id)
  end
  charge('tokens', tonumber(ARGV[9]))
  return 1
end

local function touch()
  if redis.call('HEXISTS', key, 'seen:' .. id) == 1 then
    redis.call('HSET', key, 'seen:' .. id, whole(now))
  end
  return 1
end

expire('tokens')
expire('requests')
local answer = ({admit = admit, settle = settle, touch = touch})[action]()
for _, name in ipairs(KEYS) do
  redis.call('PEXPIRE', name, whole(window + lease + 1000))
end
return answer
