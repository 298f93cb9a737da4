-- Which version the keys of this namespace have, if there are any.
return call('GET', PREFIX .. 'version') or ''
