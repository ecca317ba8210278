-- KEYS[1]: a channel. ARGV: messages, in order.
for i = 1, #ARGV do redis.call('SPUBLISH', KEYS[1], ARGV[i]) end
return #ARGV
