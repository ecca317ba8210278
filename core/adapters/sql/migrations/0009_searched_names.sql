-- What people and channels are found by. Of people: their names from the beginning of each word on, without accents and case. `Directory::open`
-- writes those of accounts whose display name is to be folded again,
-- and of channels where it is NULL.
CREATE TABLE name_words (
    word    TEXT NOT NULL,
    user_id BLOB NOT NULL,
    PRIMARY KEY (word, user_id)
) WITHOUT ROWID;
CREATE INDEX name_words_user ON name_words (user_id, word);
UPDATE users SET display_name_folded = NULL WHERE erased_at IS NULL;
ALTER TABLE channels ADD COLUMN name_bare TEXT;
