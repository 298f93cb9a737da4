-- What the scripts share. KEYS[1] is the prefix of all keys, such as "{trioworkers}:".
local call = redis.call
local PREFIX = KEYS[1]
local LEASES, ABOUT, NAMES = PREFIX .. 'leases', PREFIX .. 'about', PREFIX .. 'names'
local OWNED, FORMER, SENT = PREFIX .. 'owned:', PREFIX .. 'former:', PREFIX .. 'sent:'
local SYSTEM, DATA, WAITING = PREFIX .. 'system:', PREFIX .. 'data:', PREFIX .. 'waiting:'
local HOUR, DAY, FORMER_MS = 3600000, 86400000, 60000

-- Milliseconds of the server's clock.
local clock = call('TIME')
local now = clock[1] * 1000 + math.floor(clock[2] / 1000)

-- When the lease of an incarnation ends; nil if it has none.
local function lease_end(incarnation)
  local score = tonumber(call('ZSCORE', LEASES, incarnation) or 0)
  if score > now then
    return score
  end
end

local function all_living()
  return call('ZRANGEBYSCORE', LEASES, '(' .. now, '+inf')
end

-- Milliseconds until the first lease of another one ends; -1 if there is none.
local function next_expiry(incarnation)
  local first = call('ZRANGE', LEASES, 0, 1, 'WITHSCORES')
  for i = 1, #first, 2 do
    if first[i] ~= incarnation then
      return math.max(0, tonumber(first[i + 1]) - now)
    end
  end
  return -1
end

-- Forget all about incarnations, and tell those that live.
local function end_leases(ended)
  for _, incarnation in ipairs(ended) do
    call('ZREM', LEASES, incarnation)
    call('HDEL', ABOUT, incarnation)
    for _, name in ipairs(call('SMEMBERS', OWNED .. incarnation)) do
      if call('HGET', NAMES, name) == incarnation then
        call('HDEL', NAMES, name)
      end
    end
    call('UNLINK', OWNED .. incarnation, FORMER .. incarnation, SENT .. incarnation,
      SYSTEM .. incarnation, DATA .. incarnation,
      WAITING .. incarnation .. ':0', WAITING .. incarnation .. ':1')
  end
  for _, peer in ipairs(all_living()) do
    local sent, system = SENT .. peer, SYSTEM .. peer
    for _, incarnation in ipairs(ended) do
      call('XADD', system, '*', 'gone', incarnation)
    end
    if call('EXISTS', sent) == 1 then
      for _, incarnation in ipairs(ended) do
        call('HDEL', sent, incarnation .. ':0', incarnation .. ':1')
      end
    end
  end
end

-- So many at a time that the server isn't held up: next_expiry is 0 if there are more.
local function sweep()
  local expired = call('ZRANGEBYSCORE', LEASES, '-inf', now, 'LIMIT', 0, 100)
  if #expired > 0 then
    end_leases(expired)
  end
end

-- Let the lease end in so many milliseconds, and all keys some time after it.
local function extend(incarnation, lease)
  call('ZADD', LEASES, now + lease, incarnation)
  for _, key in ipairs({LEASES, ABOUT, NAMES, PREFIX .. 'version'}) do
    call('PEXPIRE', key, lease + DAY)
  end
  for _, kind in ipairs({OWNED, FORMER, SENT, SYSTEM, DATA}) do
    call('PEXPIRE', kind .. incarnation, lease + HOUR)
  end
  call('PEXPIRE', WAITING .. incarnation .. ':0', lease + HOUR)
  call('PEXPIRE', WAITING .. incarnation .. ':1', lease + HOUR)
end

-- Extend the lease, end those that have expired, and reply so.
local function renew(incarnation, lease, names)
  extend(incarnation, lease)
  sweep()
  local kept = call('SCARD', OWNED .. incarnation) == names
  return {'ok', next_expiry(incarnation), kept and 1 or 0}
end

-- The refusal if another one that lives has one of the names ARGV[first] and so on.
local function find_taken(incarnation, first)
  for i = first, #ARGV do
    local owner = call('HGET', NAMES, ARGV[i])
    if owner and owner ~= incarnation and lease_end(owner) then
      return {'taken', ARGV[i], call('HGET', ABOUT, owner) or ''}
    end
  end
end

-- Those that hear of the new owner must have heard that the old one has gone.
local function end_owners(incarnation, first)
  for i = first, #ARGV do
    local owner = call('HGET', NAMES, ARGV[i])
    if owner and owner ~= incarnation then
      end_leases({owner})
    end
  end
end

-- Nobody who lives has any of the names.
local function claim_names(incarnation, first)
  end_owners(incarnation, first)
  for i = first, #ARGV do
    call('HSET', NAMES, ARGV[i], incarnation)
    call('SADD', OWNED .. incarnation, ARGV[i])
  end
end

local function release_name(incarnation, name)
  if call('SREM', OWNED .. incarnation, name) == 1 then
    call('HDEL', NAMES, name)
    call('ZADD', FORMER .. incarnation, now, name)
  end
end

-- Delete what an incarnation has read, all before `from`, and tell those that wait for room.
local function acknowledge(incarnation, lane, stream, from, limit)
  call('XTRIM', stream, 'MINID', '=', from)
  if call('XLEN', stream) * 2 > limit then
    return
  end
  local waiting = WAITING .. incarnation .. ':' .. lane
  local sources = call('SMEMBERS', waiting)
  if #sources == 0 then
    return
  end
  call('UNLINK', waiting)
  for _, source in ipairs(sources) do
    if lease_end(source) then
      call('XADD', SYSTEM .. source, '*', 'room', incarnation .. ':' .. lane)
    end
  end
end

-- The same for each lane, but not for one of which '' is given.
local function acknowledge_both(incarnation, system, data, limit)
  if system ~= '' then
    acknowledge(incarnation, 0, SYSTEM .. incarnation, system, limit)
  end
  if data ~= '' then
    acknowledge(incarnation, 1, DATA .. incarnation, data, limit)
  end
end
