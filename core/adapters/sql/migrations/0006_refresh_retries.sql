-- A refresh token that comes again soon after it was spent, while its successor is unused, is a retry. Generations count a
-- session's exchanges; a retry makes no new one.
ALTER TABLE refresh_tokens ADD COLUMN generation INTEGER NOT NULL DEFAULT 0;
ALTER TABLE refresh_tokens ADD COLUMN spent_at INTEGER NOT NULL DEFAULT 0;
