-- ARGV: incarnation, names...
local incarnation = ARGV[1]
local ends = lease_end(incarnation)
if not ends then
  return {'fenced'}
end
call('ZREMRANGEBYSCORE', FORMER .. incarnation, '-inf', now - FORMER_MS)
for i = 2, #ARGV do
  release_name(incarnation, ARGV[i])
end
call('PEXPIRE', FORMER .. incarnation, ends - now + HOUR)
return {'ok'}
