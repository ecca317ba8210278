-- What people set and see of each other. `display_name_folded` is for searching; where it is NULL, `Directory::open`
-- fills it in, because SQLite folds ASCII alone.
ALTER TABLE users ADD COLUMN display_name_folded TEXT;
ALTER TABLE users ADD COLUMN status_message TEXT NOT NULL DEFAULT '';
ALTER TABLE users ADD COLUMN settings TEXT NOT NULL DEFAULT '{}';
ALTER TABLE users ADD COLUMN role TEXT NOT NULL DEFAULT 'user' CHECK (role IN ('user', 'admin'));
ALTER TABLE users ADD COLUMN updated_at INTEGER NOT NULL DEFAULT 0;
ALTER TABLE users ADD COLUMN erased_at INTEGER;
UPDATE users SET updated_at = created_at;
-- The first account is the server's administrator, on a server from before there were any too.
UPDATE users SET role = 'admin' WHERE id = (SELECT id FROM users ORDER BY created_at, id LIMIT 1);
CREATE INDEX users_by_display_name ON users (display_name_folded);

ALTER TABLE sessions ADD COLUMN used_at INTEGER NOT NULL DEFAULT 0;
UPDATE sessions SET used_at = created_at;

-- Two rows a contact, one as each sees it; both are written in one transaction.
CREATE TABLE contacts (
    user_id BLOB NOT NULL REFERENCES users (id) ON DELETE CASCADE,
    contact_id BLOB NOT NULL REFERENCES users (id) ON DELETE CASCADE,
    state TEXT NOT NULL CHECK (state IN ('outgoing', 'incoming', 'accepted')),
    created_at INTEGER NOT NULL,
    accepted_at INTEGER,
    PRIMARY KEY (user_id, contact_id),
    CHECK (user_id <> contact_id)
) WITHOUT ROWID;
CREATE INDEX contacts_with ON contacts (contact_id);

CREATE TABLE blocks (
    blocker_id BLOB NOT NULL REFERENCES users (id) ON DELETE CASCADE,
    blocked_id BLOB NOT NULL REFERENCES users (id) ON DELETE CASCADE,
    created_at INTEGER NOT NULL,
    PRIMARY KEY (blocker_id, blocked_id),
    CHECK (blocker_id <> blocked_id)
) WITHOUT ROWID;
CREATE INDEX blocks_of ON blocks (blocked_id);

-- Codes that let one person each make an account, by their SHA-256.
CREATE TABLE invitations (
    hash BLOB PRIMARY KEY,
    created_at INTEGER NOT NULL,
    expires_at INTEGER NOT NULL,
    used_by BLOB REFERENCES users (id) ON DELETE CASCADE
) WITHOUT ROWID;
CREATE INDEX invitations_used_by ON invitations (used_by);

-- What was done to accounts. It outlives their erasure, so it names people by their ids alone.
CREATE TABLE audit_log (
    id INTEGER PRIMARY KEY AUTOINCREMENT,
    at INTEGER NOT NULL,
    actor_id BLOB,
    action TEXT NOT NULL,
    subject_id BLOB NOT NULL
);
CREATE INDEX audit_of_subject ON audit_log (subject_id, id);
