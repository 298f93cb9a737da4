-- ARGV: incarnation, lease, about, replaces or '', version, names...
local incarnation, lease, replaces, version = ARGV[1], tonumber(ARGV[2]), ARGV[4], ARGV[5]
local found = call('GET', PREFIX .. 'version')
if found and found ~= version then
  return {'version', found}
end
local taken = find_taken(incarnation, 6, replaces)
if taken then
  return taken
end
sweep()
if replaces ~= '' and call('ZSCORE', LEASES, replaces) then
  end_leases({replaces})
end
local had_lease = call('ZSCORE', LEASES, incarnation)
if had_lease and not lease_end(incarnation) then
  end_leases({incarnation})
  had_lease = false
end
if had_lease then
  local wanted = {}
  for i = 6, #ARGV do
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
claim_names(incarnation, 6)
extend(incarnation, lease)
local peers = {}
for _, peer in ipairs(all_living()) do
  if peer ~= incarnation then
    peers[#peers + 1] = peer
  end
end
return {'ok', next_expiry(incarnation), peers}
