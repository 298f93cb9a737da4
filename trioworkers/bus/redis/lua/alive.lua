-- ARGV: incarnation
return {lease_end(ARGV[1]) and 'ok' or 'fenced'}
