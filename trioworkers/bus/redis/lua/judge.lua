-- ARGV: of each pair: incarnation, name
local standings, former = {}, now - FORMER_MS
for i = 1, #ARGV, 2 do
  local incarnation, name = ARGV[i], ARGV[i + 1]
  local standing = 's'
  if not lease_end(incarnation) then
    standing = 'g'
  elseif call('HGET', NAMES, name) == incarnation then
    standing = 'o'
  elseif tonumber(call('ZSCORE', FORMER .. incarnation, name) or 0) > former then
    standing = 'o'
  end
  standings[#standings + 1] = standing
end
return {'ok', table.concat(standings)}
