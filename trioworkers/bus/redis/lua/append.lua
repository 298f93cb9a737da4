-- ARGV: incarnation, limit, of each lane: from where on entries are kept, or '',
-- how many should live or '', then of each entry: destination, lane, number, body.
-- Lanes 2 and 3 are 0 and 1, with the body of the entry before, which isn't repeated.
local incarnation, limit = ARGV[1], tonumber(ARGV[2])
if not lease_end(incarnation) then
  return {'fenced'}
end
acknowledge_both(incarnation, ARGV[3], ARGV[4], limit)

local system = {SYSTEM, incarnation .. ':0', {}, 0}
local data = {DATA, incarnation .. ':1', {}, 1}
local lanes = {['0'] = system, ['1'] = data, ['2'] = system, ['3'] = data}
local ends, results = {}, {}
local at, total, body = 6, #ARGV, nil
while at <= total do
  local destination, lane, number = ARGV[at], ARGV[at + 1], tonumber(ARGV[at + 2])
  local stream, field, full = lanes[lane][1], lanes[lane][2], lanes[lane][3]
  if lane < '2' then
    body = ARGV[at + 3]
    at = at + 4
  else
    at = at + 3
  end
  local lease = ends[destination]
  if lease == nil then
    lease = lease_end(destination) or false
    ends[destination] = lease
  end
  local result = 'k'
  if not lease then
    result = 'g'
  elseif full[destination] then
    result = 'f'
  else
    local sent = SENT .. destination
    local recorded = tonumber(call('HGET', sent, field) or 0)
    if number == recorded + 1 then
      stream = stream .. destination
      if call('XLEN', stream) < limit then
        call('XADD', stream, '*', 'i', incarnation, 'n', number, 'd', body)
        if call('HSET', sent, field, number) == 1 then
          call('PEXPIRE', sent, lease - now + HOUR)
          call('PEXPIRE', stream, lease - now + HOUR)
        end
      else
        local waiting = WAITING .. destination .. ':' .. lanes[lane][4]
        call('SADD', waiting, incarnation)
        call('PEXPIRE', waiting, lease - now + HOUR)
        full[destination] = true
        result = 'f'
      end
    elseif number > recorded then
      return {'lost'}
    end
  end
  results[#results + 1] = result
end

results = table.concat(results)
if ARGV[5] == '' or call('ZCOUNT', LEASES, '(' .. now, '+inf') == tonumber(ARGV[5]) then
  return results
end
return {'ok', results, all_living()}
