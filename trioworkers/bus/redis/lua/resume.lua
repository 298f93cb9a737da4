-- ARGV: incarnation, lease, how many names, 3 * how many were sent,
-- then of each: destination, lane, number; then the names
local incarnation = ARGV[1]
local names = 5 + tonumber(ARGV[4])
if not lease_end(incarnation) then
  return {'fenced'}
end
for i = 5, names - 1, 3 do
  local destination = ARGV[i]
  local recorded = call('HGET', SENT .. destination, incarnation .. ':' .. ARGV[i + 1])
  if tonumber(recorded or 0) < tonumber(ARGV[i + 2]) and lease_end(destination) then
    return {'lost'}
  end
end
local taken = find_taken(incarnation, names)
if taken then
  return taken
end
claim_names(incarnation, names)
return renew(incarnation, tonumber(ARGV[2]), tonumber(ARGV[3]))
