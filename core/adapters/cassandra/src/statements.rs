//! Every statement that the store sends, by name. All are prepared when it is opened.

use crate::schema::{
    BUCKETS, CHANGE_RECORDS, CHANGES, HEADS, IDEMPOTENCY, INTEREST, MEMBERSHIP, MESSAGES, PINS, PROGRESS,
    REACTIONS, REPLIES, SETTINGS, SLOTS, STATUS, Table,
};

/// A statement.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) enum Statement {
    PutMessage,
    PutReply,
    PutBucket,
    PutRead,
    PutDelivered,
    PutHead,
    PutChange,
    PutChangeRecord,
    PutMembership,
    PutSettings,
    PutReaction,
    PutPin,
    PutInterest,
    PutSlot,
    PutKey,
    PutProgress,
    DropInterest,
    MessagesById,
    MessagesOldestFirst,
    MessagesNewestFirst,
    RepliesOldestFirst,
    RepliesNewestFirst,
    BucketsBetween,
    StatusIn,
    StatusOfUser,
    Head,
    ChangesBetween,
    ChangesByNumber,
    ChangesOfRecords,
    MembersById,
    Settings,
    ReactionsWith,
    ReactionsBetween,
    PinsOf,
    PinsIn,
    Interest,
    Slots,
    KeysById,
    Progress,
}

/// What a statement does with its table.
enum Verb {
    /// Writes a row: the columns from the first on, but for those skipped after the key; up to so many values.
    Put { skip: usize, take: usize },
    /// Deletes a row.
    Drop,
    /// Reads the rows that fit.
    Select(&'static str),
}

/// Every column.
const WHOLE: Verb = Verb::Put { skip: 0, take: usize::MAX };

const MESSAGES_OLDEST_FIRST: Verb = Verb::Select(
    "channel_id = ? AND bucket = ? AND message_id > ? AND message_id < ? \
                     ORDER BY message_id ASC LIMIT ?",
);
const MESSAGES_NEWEST_FIRST: Verb =
    Verb::Select("channel_id = ? AND bucket = ? AND message_id > ? AND message_id < ? LIMIT ?");
const REPLIES_OLDEST_FIRST: Verb = Verb::Select(
    "channel_id = ? AND reply_to = ? AND message_id > ? AND message_id < ? \
                     ORDER BY message_id ASC LIMIT ?",
);
const REPLIES_NEWEST_FIRST: Verb =
    Verb::Select("channel_id = ? AND reply_to = ? AND message_id > ? AND message_id < ? LIMIT ?");

impl Statement {
    /// Every statement, in the order of their numbers.
    pub(crate) const ALL: [Self; 39] = [
        Self::PutMessage,
        Self::PutReply,
        Self::PutBucket,
        Self::PutRead,
        Self::PutDelivered,
        Self::PutHead,
        Self::PutChange,
        Self::PutChangeRecord,
        Self::PutMembership,
        Self::PutSettings,
        Self::PutReaction,
        Self::PutPin,
        Self::PutInterest,
        Self::PutSlot,
        Self::PutKey,
        Self::PutProgress,
        Self::DropInterest,
        Self::MessagesById,
        Self::MessagesOldestFirst,
        Self::MessagesNewestFirst,
        Self::RepliesOldestFirst,
        Self::RepliesNewestFirst,
        Self::BucketsBetween,
        Self::StatusIn,
        Self::StatusOfUser,
        Self::Head,
        Self::ChangesBetween,
        Self::ChangesByNumber,
        Self::ChangesOfRecords,
        Self::MembersById,
        Self::Settings,
        Self::ReactionsWith,
        Self::ReactionsBetween,
        Self::PinsOf,
        Self::PinsIn,
        Self::Interest,
        Self::Slots,
        Self::KeysById,
        Self::Progress,
    ];

    fn verb(self) -> (&'static Table, Verb) {
        use Verb::{Drop, Put, Select};
        match self {
            Self::PutMessage => (&MESSAGES, WHOLE),
            Self::PutReply => (&REPLIES, WHOLE),
            Self::PutBucket => (&BUCKETS, WHOLE),
            Self::PutRead => (&STATUS, Put { skip: 0, take: 2 }),
            Self::PutDelivered => (&STATUS, Put { skip: 2, take: 2 }),
            Self::PutHead => (&HEADS, WHOLE),
            Self::PutChange => (&CHANGES, WHOLE),
            Self::PutChangeRecord => (&CHANGE_RECORDS, WHOLE),
            Self::PutMembership => (&MEMBERSHIP, WHOLE),
            Self::PutSettings => (&SETTINGS, WHOLE),
            Self::PutReaction => (&REACTIONS, WHOLE),
            Self::PutPin => (&PINS, WHOLE),
            Self::PutInterest => (&INTEREST, WHOLE),
            Self::PutSlot => (&SLOTS, WHOLE),
            Self::PutKey => (&IDEMPOTENCY, WHOLE),
            Self::PutProgress => (&PROGRESS, WHOLE),
            Self::DropInterest => (&INTEREST, Drop),
            Self::MessagesById => (&MESSAGES, Select("channel_id = ? AND bucket = ? AND message_id IN ?")),
            Self::MessagesOldestFirst => (&MESSAGES, MESSAGES_OLDEST_FIRST),
            Self::MessagesNewestFirst => (&MESSAGES, MESSAGES_NEWEST_FIRST),
            Self::RepliesOldestFirst => (&REPLIES, REPLIES_OLDEST_FIRST),
            Self::RepliesNewestFirst => (&REPLIES, REPLIES_NEWEST_FIRST),
            Self::BucketsBetween => (&BUCKETS, Select("channel_id = ? AND bucket >= ? AND bucket <= ?")),
            Self::StatusIn => (&STATUS, Select("user_id = ? AND channel_id IN ?")),
            Self::StatusOfUser => (&STATUS, Select("user_id = ?")),
            Self::Head => (&HEADS, Select("channel_id = ?")),
            Self::ChangesBetween => {
                (&CHANGES, Select("channel_id = ? AND bucket = ? AND change > ? AND change <= ? LIMIT ?"))
            }
            Self::ChangesByNumber => (&CHANGES, Select("channel_id = ? AND bucket = ? AND change IN ?")),
            Self::ChangesOfRecords => {
                (&CHANGE_RECORDS, Select("channel_id = ? AND bucket = ? AND record_id IN ?"))
            }
            Self::MembersById => (&MEMBERSHIP, Select("channel_id = ? AND user_id IN ?")),
            Self::Settings => (&SETTINGS, Select("channel_id = ?")),
            Self::ReactionsWith => {
                (&REACTIONS, Select("channel_id = ? AND bucket = ? AND message_id = ? AND emoji = ?"))
            }
            Self::ReactionsBetween => (
                &REACTIONS,
                Select("channel_id = ? AND bucket = ? AND message_id >= ? AND message_id <= ? LIMIT ?"),
            ),
            Self::PinsOf => (&PINS, Select("channel_id = ? AND message_id IN ?")),
            Self::PinsIn => (&PINS, Select("channel_id = ?")),
            Self::Interest => (&INTEREST, Select("channel_id = ?")),
            Self::Slots => (&SLOTS, Select("partition = ?")),
            Self::KeysById => (&IDEMPOTENCY, Select("channel_id = ? AND sender_id = ? AND client_id IN ?")),
            Self::Progress => (&PROGRESS, Select("partition = ?")),
        }
    }

    pub(crate) fn table(self) -> &'static Table {
        self.verb().0
    }

    /// Whether it reads.
    pub(crate) fn is_read(self) -> bool {
        matches!(self.verb().1, Verb::Select(_))
    }

    /// In CQL.
    pub(crate) fn text(self, keyspace: &str) -> String {
        let (table, verb) = self.verb();
        let (name, names) = (table.name, table.names());
        let (key, values) = names.split_at(table.key_columns());
        match verb {
            Verb::Put { skip, take } => {
                let written = values.iter().skip(skip).take(take);
                let written: Vec<&str> = key.iter().chain(written).copied().collect();
                let marks = vec!["?"; written.len()].join(", ");
                let columns = written.join(", ");
                format!("INSERT INTO {keyspace}.{name} ({columns}) VALUES ({marks}) USING TIMESTAMP ?")
            }
            Verb::Drop => {
                let conditions: Vec<String> = key.iter().map(|name| format!("{name} = ?")).collect();
                format!("DELETE FROM {keyspace}.{name} USING TIMESTAMP ? WHERE {}", conditions.join(" AND "))
            }
            Verb::Select(condition) => {
                // All values of a row are written with one timestamp.
                let stamp = values.first().map(|first| format!(", WRITETIME({first})")).unwrap_or_default();
                format!("SELECT {}{stamp} FROM {keyspace}.{name} WHERE {condition}", names.join(", "))
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn statements_stand_at_their_numbers() {
        for (number, statement) in Statement::ALL.into_iter().enumerate() {
            assert_eq!(statement as usize, number, "{statement:?}");
        }
    }

    #[test]
    fn statements_in_cql() {
        let check = |statement: Statement, expected: &str| assert_eq!(statement.text("rings"), expected);
        check(
            Statement::PutDelivered,
            "INSERT INTO rings.message_status (user_id, channel_id, last_delivered_id, last_delivered_seq) \
             VALUES (?, ?, ?, ?) USING TIMESTAMP ?",
        );
        check(
            Statement::PutBucket,
            "INSERT INTO rings.channel_buckets (channel_id, bucket) VALUES (?, ?) USING TIMESTAMP ?",
        );
        check(
            Statement::DropInterest,
            "DELETE FROM rings.channel_interest USING TIMESTAMP ? WHERE channel_id = ? AND slot = ? AND epoch = ?",
        );
        check(
            Statement::Progress,
            "SELECT partition, log_offset, last, stamp, WRITETIME(log_offset) FROM rings.partition_progress \
             WHERE partition = ?",
        );
        check(
            Statement::BucketsBetween,
            "SELECT channel_id, bucket FROM rings.channel_buckets \
             WHERE channel_id = ? AND bucket >= ? AND bucket <= ?",
        );
    }
}
