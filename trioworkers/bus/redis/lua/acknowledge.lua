-- ARGV: incarnation, limit, of each lane: from where on entries are kept, or ''
local incarnation, limit = ARGV[1], tonumber(ARGV[2])
if not lease_end(incarnation) then
  return {'fenced'}
end
if ARGV[3] ~= '' then
  acknowledge(incarnation, 0, SYSTEM .. incarnation, ARGV[3], limit)
end
if ARGV[4] ~= '' then
  acknowledge(incarnation, 1, DATA .. incarnation, ARGV[4], limit)
end
return {'ok'}
