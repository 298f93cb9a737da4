local peers = {}
for _, incarnation in ipairs(all_living()) do
  peers[#peers + 1] = incarnation
  peers[#peers + 1] = call('HGET', ABOUT, incarnation) or ''
end
return {'ok', peers}
