-- ARGV: incarnation, lease, how many names it has
local incarnation = ARGV[1]
if not lease_end(incarnation) then
  return {'fenced'}
end
return renew(incarnation, tonumber(ARGV[2]), tonumber(ARGV[3]))
