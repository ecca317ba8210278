-- KEYS[1]: a slot's connections. ARGV: members that are there no more.
for i = 1, #ARGV do redis.call('ZREM', KEYS[1], ARGV[i]) end
return 0
