-- Who was asked into a channel that they could not be added to, and has not answered.
CREATE TABLE channel_invitations (
    user_id    BLOB NOT NULL,
    channel_id BLOB NOT NULL,
    inviter_id BLOB NOT NULL,
    created_at INTEGER NOT NULL,
    PRIMARY KEY (user_id, channel_id)
) WITHOUT ROWID;
CREATE INDEX channel_invitations_inviter ON channel_invitations (inviter_id);
CREATE INDEX channel_invitations_channel ON channel_invitations (channel_id);
