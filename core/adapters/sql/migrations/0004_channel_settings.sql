-- What a channel is held to. A change shows once its outbox row is gone: until then `former` holds what was there before,
-- a `Channel` record, and `changed_version` names the outbox row.
ALTER TABLE channels ADD COLUMN topic TEXT NOT NULL DEFAULT '';
ALTER TABLE channels ADD COLUMN slow_mode_s INTEGER NOT NULL DEFAULT 0;
ALTER TABLE channels ADD COLUMN admins_post INTEGER NOT NULL DEFAULT 0;
ALTER TABLE channels ADD COLUMN history_from_join INTEGER NOT NULL DEFAULT 0;
-- A DM of two of whom one has blocked the other.
ALTER TABLE channels ADD COLUMN closed INTEGER NOT NULL DEFAULT 0;
ALTER TABLE channels ADD COLUMN deleted_at INTEGER;
ALTER TABLE channels ADD COLUMN changed_version INTEGER NOT NULL DEFAULT 1;
ALTER TABLE channels ADD COLUMN former BLOB;
CREATE INDEX channels_by_type ON channels (type, id);

-- The same for a member's role.
ALTER TABLE channel_members ADD COLUMN former_role TEXT;
ALTER TABLE channel_members ADD COLUMN role_version INTEGER NOT NULL DEFAULT 0;
ALTER TABLE channel_members ADD COLUMN muted_until INTEGER;

-- The two of a DM are plain members.
UPDATE channel_members SET role = 'member'
WHERE role = 'owner' AND channel_id IN (SELECT id FROM channels WHERE type = 'dm');
