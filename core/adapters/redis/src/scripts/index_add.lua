-- KEYS[1]: a slot's connections, in the order of their epochs. ARGV[1]: seconds until all of it counts no more, unless
-- it is touched; then members to add.
for i = 2, #ARGV do redis.call('ZADD', KEYS[1], 0, ARGV[i]) end
return redis.call('EXPIRE', KEYS[1], ARGV[1])
