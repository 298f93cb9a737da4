-- ARGV: incarnation, lease, how many names it has
local incarnation = ARGV[1]
if not lease_end(incarnation) then
  return {'fenced'}
end
extend(incarnation, tonumber(ARGV[2]))
sweep()
local kept = call('SCARD', OWNED .. incarnation) == tonumber(ARGV[3])
return {'ok', next_expiry(incarnation), kept and 1 or 0}
