-- The Directory. Times are milliseconds since the Unix epoch. What is unique without case stands folded beside it, by
-- Unicode and not by the server's locale; such columns compare by bytes ("C"), whatever the database's collation is.
CREATE TABLE users (
    id UUID PRIMARY KEY,
    email TEXT NOT NULL,
    email_folded TEXT COLLATE "C" NOT NULL CONSTRAINT users_email_is_free UNIQUE,
    username TEXT NOT NULL,
    username_folded TEXT COLLATE "C" NOT NULL CONSTRAINT users_username_is_free UNIQUE,
    password_hash TEXT NOT NULL,
    display_name TEXT NOT NULL,
    avatar_url TEXT NOT NULL DEFAULT '',
    status_message TEXT NOT NULL DEFAULT '',
    status_expires_at BIGINT,
    last_seen_at BIGINT,
    -- A JSON object, as text: it is compared and given back byte by byte.
    settings TEXT NOT NULL DEFAULT '{}',
    -- Whom the settings show the e-mail address to, for the search by it.
    email_shown_to TEXT NOT NULL DEFAULT 'nobody' CHECK (email_shown_to IN ('everyone', 'contacts', 'nobody')),
    role TEXT NOT NULL DEFAULT 'user' CHECK (role IN ('user', 'admin')),
    created_at BIGINT NOT NULL,
    updated_at BIGINT NOT NULL,
    erased_at BIGINT
);

-- The account that was the first, which administers the server: one row at the most, so that of racers one is it.
CREATE TABLE first_account (
    one BOOLEAN PRIMARY KEY DEFAULT TRUE CHECK (one),
    user_id UUID NOT NULL
);

CREATE TABLE sessions (
    id UUID PRIMARY KEY,
    user_id UUID NOT NULL REFERENCES users (id) ON DELETE CASCADE,
    device TEXT NOT NULL,
    created_at BIGINT NOT NULL,
    used_at BIGINT NOT NULL,
    ended BOOLEAN NOT NULL DEFAULT FALSE
);
CREATE INDEX sessions_of_user ON sessions (user_id, id);

-- A session's refresh tokens, spent ones too: a spent one that comes again ends the session, unless it is a retry soon after,
-- while its successor is unused. Generations count a session's exchanges; a retry makes no new one.
CREATE TABLE refresh_tokens (
    hash BYTEA PRIMARY KEY CHECK (octet_length(hash) = 32),
    session_id UUID NOT NULL REFERENCES sessions (id) ON DELETE CASCADE,
    expires_at BIGINT NOT NULL,
    spent BOOLEAN NOT NULL DEFAULT FALSE,
    spent_at BIGINT NOT NULL DEFAULT 0,
    generation BIGINT NOT NULL DEFAULT 0
);
CREATE INDEX refresh_tokens_of_session ON refresh_tokens (session_id);

-- Two rows a contact, one as each sees it; both are written in one transaction.
CREATE TABLE contacts (
    user_id UUID NOT NULL REFERENCES users (id) ON DELETE CASCADE,
    contact_id UUID NOT NULL REFERENCES users (id) ON DELETE CASCADE,
    state TEXT NOT NULL CHECK (state IN ('outgoing', 'incoming', 'accepted')),
    created_at BIGINT NOT NULL,
    accepted_at BIGINT,
    PRIMARY KEY (user_id, contact_id),
    CHECK (user_id <> contact_id)
);
CREATE INDEX contacts_with ON contacts (contact_id);

CREATE TABLE blocks (
    blocker_id UUID NOT NULL REFERENCES users (id) ON DELETE CASCADE,
    blocked_id UUID NOT NULL REFERENCES users (id) ON DELETE CASCADE,
    created_at BIGINT NOT NULL,
    PRIMARY KEY (blocker_id, blocked_id),
    CHECK (blocker_id <> blocked_id)
);
CREATE INDEX blocks_of ON blocks (blocked_id);

-- Codes that let one person each make an account, by their SHA-256.
CREATE TABLE invitations (
    hash BYTEA PRIMARY KEY CHECK (octet_length(hash) = 32),
    created_at BIGINT NOT NULL,
    expires_at BIGINT NOT NULL,
    used_by UUID REFERENCES users (id) ON DELETE CASCADE
);
CREATE INDEX invitations_used_by ON invitations (used_by);

-- What was done to accounts. It outlives their erasure, so it names people by their ids alone.
CREATE TABLE audit_log (
    id BIGINT GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    at BIGINT NOT NULL,
    actor_id UUID,
    action TEXT NOT NULL,
    subject_id UUID NOT NULL
);
CREATE INDEX audit_of_subject ON audit_log (subject_id, id);

-- What people are found by: their names from the beginning of each word on, without accents and case.
CREATE TABLE name_words (
    word TEXT COLLATE "C" NOT NULL,
    user_id UUID NOT NULL REFERENCES users (id) ON DELETE CASCADE,
    PRIMARY KEY (word, user_id)
);
CREATE INDEX name_words_user ON name_words (user_id, word);

-- A change shows once its outbox row is gone: until then `former` holds what was there before, a `Channel` record, and
-- `changed_version` names the outbox row.
CREATE TABLE channels (
    id UUID PRIMARY KEY,
    name TEXT NOT NULL,
    name_bare TEXT COLLATE "C" NOT NULL,
    type TEXT NOT NULL CHECK (type IN ('dm', 'group', 'private', 'public')),
    creator_id UUID NOT NULL,
    description TEXT NOT NULL,
    topic TEXT NOT NULL DEFAULT '',
    slow_mode_s BIGINT NOT NULL DEFAULT 0,
    admins_post BOOLEAN NOT NULL DEFAULT FALSE,
    history_from_join BOOLEAN NOT NULL DEFAULT FALSE,
    -- A DM of two of whom one has blocked the other.
    closed BOOLEAN NOT NULL DEFAULT FALSE,
    created_at BIGINT NOT NULL,
    deleted_at BIGINT,
    version BIGINT NOT NULL,
    changed_version BIGINT NOT NULL DEFAULT 1,
    former BYTEA
);
CREATE INDEX channels_by_type ON channels (type, id);

-- The pair is written before its channel: of racers for one DM the first decides.
CREATE TABLE dm_pairs (
    lower_id UUID NOT NULL,
    higher_id UUID NOT NULL,
    channel_id UUID NOT NULL REFERENCES channels (id) ON DELETE CASCADE DEFERRABLE INITIALLY DEFERRED,
    PRIMARY KEY (lower_id, higher_id),
    CHECK (lower_id <= higher_id)
);
CREATE INDEX dm_pairs_of_channel ON dm_pairs (channel_id);

-- `former_role` and `role_version`: as `former` and `changed_version` of a channel.
CREATE TABLE channel_members (
    channel_id UUID NOT NULL REFERENCES channels (id) ON DELETE CASCADE,
    user_id UUID NOT NULL REFERENCES users (id) ON DELETE CASCADE,
    role TEXT NOT NULL CHECK (role IN ('owner', 'admin', 'member', 'guest')),
    joined_at BIGINT NOT NULL,
    version BIGINT NOT NULL,
    former_role TEXT,
    role_version BIGINT NOT NULL DEFAULT 0,
    muted_until BIGINT,
    PRIMARY KEY (channel_id, user_id)
);
CREATE INDEX channels_of_user ON channel_members (user_id, channel_id);

-- Who was asked into a channel that they could not be added to, and has not answered.
CREATE TABLE channel_invitations (
    user_id UUID NOT NULL,
    channel_id UUID NOT NULL,
    inviter_id UUID NOT NULL,
    created_at BIGINT NOT NULL,
    PRIMARY KEY (user_id, channel_id)
);
CREATE INDEX channel_invitations_inviter ON channel_invitations (inviter_id);
CREATE INDEX channel_invitations_channel ON channel_invitations (channel_id);

-- Changes on their way to the log. A row that is gone is confirmed. Ids are given under the channel's row lock and without
-- a cache, so within a channel they have the order of the versions.
CREATE TABLE outbox (
    id BIGINT GENERATED ALWAYS AS IDENTITY (CACHE 1) PRIMARY KEY,
    channel_id UUID NOT NULL,
    version BIGINT NOT NULL,
    record BYTEA NOT NULL,
    UNIQUE (channel_id, version)
);
