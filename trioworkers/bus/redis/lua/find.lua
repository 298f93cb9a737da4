-- ARGV: names...
local owners = {}
for i = 1, #ARGV do
  local owner = call('HGET', NAMES, ARGV[i])
  owners[i] = owner and lease_end(owner) and owner or ''
end
return {'ok', owners}
