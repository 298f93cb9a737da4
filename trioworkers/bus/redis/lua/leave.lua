-- ARGV: incarnation
if call('ZSCORE', LEASES, ARGV[1]) then
  end_leases({ARGV[1]})
end
return {'ok'}
