-- ARGV: incarnation, lease, about, version, names...
local incarnation, lease, version = ARGV[1], tonumber(ARGV[2]), ARGV[4]
local found = call('GET', PREFIX .. 'version')
if found and found ~= version then
  return {'version', found}
end
local taken = find_taken(incarnation, 5)
if taken then
  return taken
end
sweep()
local had_lease = call('ZSCORE', LEASES, incarnation)
if had_lease and not lease_end(incarnation) then
  end_leases({incarnation})
  had_lease = false
end
if had_lease then
  local wanted = {}
  for i = 5, #ARGV do
    wanted[ARGV[i]] = true
  end
  for _, name in ipairs(call('SMEMBERS', OWNED .. incarnation)) do
    if not wanted[name] then
      release_name(incarnation, name)
    end
  end
else
  -- Streams that are there from the start expire like all other keys.
  call('XADD', SYSTEM .. incarnation, 'MAXLEN', 0, '*', '', '')
  call('XADD', DATA .. incarnation, 'MAXLEN', 0, '*', '', '')
end
call('SET', PREFIX .. 'version', version)
call('HSET', ABOUT, incarnation, ARGV[3])
claim_names(incarnation, 5)
extend(incarnation, lease)
local peers = {}
for _, peer in ipairs(all_living()) do
  if peer ~= incarnation then
    peers[#peers + 1] = peer
  end
end
return {'ok', next_expiry(incarnation), peers}
