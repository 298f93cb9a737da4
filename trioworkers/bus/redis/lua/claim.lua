-- ARGV: incarnation, names...
local incarnation = ARGV[1]
local ends = lease_end(incarnation)
if not ends then
  return {'fenced'}
end
local taken = find_taken(incarnation, 2)
if taken then
  return taken
end
claim_names(incarnation, 2)
call('PEXPIRE', OWNED .. incarnation, ends - now + HOUR)
return {'ok'}
