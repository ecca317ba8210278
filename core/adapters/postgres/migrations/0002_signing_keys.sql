-- The keys that sign access tokens; the private halves are sealed with a key that the database never sees. The one row
-- of `signing_key_set` says which set this is: whoever replaces it holds that row.
CREATE TABLE signing_key_set (
    one BOOLEAN PRIMARY KEY DEFAULT TRUE CHECK (one),
    version BIGINT NOT NULL
);
INSERT INTO signing_key_set (version) VALUES (0);

CREATE TABLE signing_keys (
    id UUID PRIMARY KEY,
    sealed BYTEA NOT NULL
);
