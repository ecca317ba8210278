-- When people were last seen, and until when what they say of themselves holds. NULL: never; for good.
ALTER TABLE users ADD COLUMN last_seen_at INTEGER;
ALTER TABLE users ADD COLUMN status_expires_at INTEGER;
