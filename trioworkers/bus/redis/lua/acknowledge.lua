-- ARGV: incarnation, limit, of each lane: from where on entries are kept, or ''
local incarnation, limit = ARGV[1], tonumber(ARGV[2])
if not lease_end(incarnation) then
  return {'fenced'}
end
acknowledge_both(incarnation, ARGV[3], ARGV[4], limit)
return {'ok'}
