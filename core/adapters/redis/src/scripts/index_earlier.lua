-- KEYS[1]: a slot's connections. ARGV[1]: an epoch of 16 hexadecimal digits, ARGV[2]: how many at the most. Answers
-- members of earlier epochs.
return redis.call('ZRANGEBYLEX', KEYS[1], '-', '(' .. ARGV[1], 'LIMIT', 0, tonumber(ARGV[2]))
