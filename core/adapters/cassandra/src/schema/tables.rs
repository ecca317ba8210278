//! Every table, with the reasons for its partitions and its compaction.
//!
//! **Deletions.** Only void interest is deleted, and idempotency keys expire. Everywhere else nothing makes a tombstone, so
//! that `gc_grace_seconds` stays at ten days, the engines' own: whoever deletes by hand has that long to repair.
//! **Compaction.** Three kinds: rows that are written once and read by recency (size-tiered), small rows that are written
//! again and again and read singly (levelled: a read meets few files), rows that expire (by time windows: a file goes whole).
//! The names are those that Cassandra and ScyllaDB share.

use super::Place::{Falling, Partition, Rising, Value};
use super::Type::{BigInt, Blob, Boolean, Int, Text, Uuid};
use super::{Column, Place, Table, Type};

/// All of them, in the order in which they are made. The version comes last: it says that the others are there.
pub(crate) const TABLES: &[&Table] = &[
    &MESSAGES,
    &REPLIES,
    &BUCKETS,
    &STATUS,
    &HEADS,
    &CHANGES,
    &CHANGE_RECORDS,
    &MEMBERSHIP,
    &SETTINGS,
    &REACTIONS,
    &PINS,
    &INTEREST,
    &SLOTS,
    &IDEMPOTENCY,
    &PROGRESS,
    &VERSION,
];

const APPENDED: &str = "compaction = {'class': 'SizeTieredCompactionStrategy'} AND gc_grace_seconds = 864000";
const REWRITTEN: &str = "compaction = {'class': 'LeveledCompactionStrategy'} AND gc_grace_seconds = 864000";

const fn column(name: &'static str, kind: Type, place: Place) -> Column {
    Column { name, kind, place }
}

/// Messages by month. They are written once; few are edited or deleted, which writes the row anew.
pub(crate) const MESSAGES: Table = Table {
    name: "messages",
    columns: &[
        column("channel_id", Uuid, Partition),
        column("bucket", Text, Partition),
        column("message_id", BigInt, Falling),
        column("prev", BigInt, Value),
        column("seq", BigInt, Value),
        column("change", BigInt, Value),
        column("client_id", Uuid, Value),
        column("sender_id", Uuid, Value),
        column("content", Text, Value),
        column("content_type", Text, Value),
        column("metadata", Text, Value),
        column("reply_to", BigInt, Value),
        column("edited_record", BigInt, Value),
        column("deleted_record", BigInt, Value),
    ],
    options: APPENDED,
};

/// Which messages answer one.
pub(crate) const REPLIES: Table = Table {
    name: "message_replies",
    columns: &[
        column("channel_id", Uuid, Partition),
        column("reply_to", BigInt, Partition),
        column("message_id", BigInt, Falling),
    ],
    options: APPENDED,
};

/// The months in which a channel has messages or reactions.
pub(crate) const BUCKETS: Table = Table {
    name: "channel_buckets",
    columns: &[column("channel_id", Uuid, Partition), column("bucket", Text, Rising)],
    options: REWRITTEN,
};

/// Two registers that only grow, each with its own `seq` as write timestamp. Who deletes such a row by hand deletes it for
/// good: no `seq` is later than a deletion of today.
pub(crate) const STATUS: Table = Table {
    name: "message_status",
    columns: &[
        column("user_id", Uuid, Partition),
        column("channel_id", Uuid, Rising),
        column("last_read_id", BigInt, Value),
        column("last_read_seq", BigInt, Value),
        column("last_delivered_id", BigInt, Value),
        column("last_delivered_seq", BigInt, Value),
    ],
    options: REWRITTEN,
};

/// Where channels stand: the rows that are written most often.
pub(crate) const HEADS: Table = Table {
    name: "channel_heads",
    columns: &[
        column("channel_id", Uuid, Partition),
        column("last_effective_id", BigInt, Value),
        column("last_message_id", BigInt, Value),
        column("last_seq", BigInt, Value),
        column("last_change", BigInt, Value),
    ],
    options: REWRITTEN,
};

/// Changes; `bucket` is the change's number divided by 4,096.
pub(crate) const CHANGES: Table = Table {
    name: "channel_changes",
    columns: &[
        column("channel_id", Uuid, Partition),
        column("bucket", BigInt, Partition),
        column("change", BigInt, Rising),
        column("record_id", BigInt, Value),
        column("prev", BigInt, Value),
        column("seq", BigInt, Value),
        column("body", Blob, Value),
    ],
    options: APPENDED,
};

/// Which change a record made: a replay asks by record.
pub(crate) const CHANGE_RECORDS: Table = Table {
    name: "channel_change_records",
    columns: &[
        column("channel_id", Uuid, Partition),
        column("bucket", Text, Partition),
        column("record_id", BigInt, Falling),
        column("change", BigInt, Value),
    ],
    options: APPENDED,
};

/// The intervals in which users are members. Each is written twice: when it opens, and when it closes.
pub(crate) const MEMBERSHIP: Table = Table {
    name: "channel_membership",
    columns: &[
        column("channel_id", Uuid, Partition),
        column("user_id", Uuid, Rising),
        column("from_id", BigInt, Rising),
        column("to_id", BigInt, Value),
        column("version", BigInt, Value),
        column("to_version", BigInt, Value),
        column("from_seq", BigInt, Value),
        column("sees_above", BigInt, Value),
        column("role", Text, Value),
    ],
    options: REWRITTEN,
};

/// The intervals in which channels are held to settings.
pub(crate) const SETTINGS: Table = Table {
    name: "channel_settings",
    columns: &[
        column("channel_id", Uuid, Partition),
        column("from_id", BigInt, Rising),
        column("to_id", BigInt, Value),
        column("version", BigInt, Value),
        column("to_version", BigInt, Value),
        column("kind", Text, Value),
        column("admins_post", Boolean, Value),
        column("history_from_join", Boolean, Value),
        column("is_closed", Boolean, Value),
        column("is_deleted", Boolean, Value),
    ],
    options: REWRITTEN,
};

/// The intervals in which reactions stand, by the month of their message: a page reads those of its messages in one go.
pub(crate) const REACTIONS: Table = Table {
    name: "reactions",
    columns: &[
        column("channel_id", Uuid, Partition),
        column("bucket", Text, Partition),
        column("message_id", BigInt, Rising),
        column("emoji", Text, Rising),
        column("user_id", Uuid, Rising),
        column("from_id", BigInt, Rising),
        column("to_id", BigInt, Value),
    ],
    options: APPENDED,
};

/// The intervals in which messages are pinned. All of a channel's are listed at once.
pub(crate) const PINS: Table = Table {
    name: "pins",
    columns: &[
        column("channel_id", Uuid, Partition),
        column("message_id", BigInt, Rising),
        column("from_id", BigInt, Rising),
        column("to_id", BigInt, Value),
        column("actor_id", Uuid, Value),
    ],
    options: REWRITTEN,
};

/// The edges that have members of a channel. The only rows that are deleted: those of epochs that are over. Such a row that
/// comes back means nothing and is deleted when it is read, so that tombstones need no ten days: they go after one, well
/// past the three hours for which nodes keep what another one missed.
pub(crate) const INTEREST: Table = Table {
    name: "channel_interest",
    columns: &[
        column("channel_id", Uuid, Partition),
        column("slot", Int, Rising),
        column("epoch", BigInt, Rising),
        column("n", BigInt, Value),
        column("record_id", BigInt, Value),
    ],
    options: "compaction = {'class': 'LeveledCompactionStrategy'} AND gc_grace_seconds = 86400",
};

/// The highest epoch that a partition of the log has seen of each slot.
pub(crate) const SLOTS: Table = Table {
    name: "partition_slots",
    columns: &[
        column("partition", Int, Partition),
        column("slot", Int, Rising),
        column("epoch", BigInt, Value),
    ],
    options: REWRITTEN,
};

/// What idempotency keys made, for 72 h: eighteen windows of four hours, each a file that goes whole. All replicas let a
/// row expire at the same moment, so nothing can come back, and tombstones go after the three hours of the nodes' hints.
pub(crate) const IDEMPOTENCY: Table = Table {
    name: "idempotency",
    columns: &[
        column("channel_id", Uuid, Partition),
        column("sender_id", Uuid, Partition),
        column("client_id", Uuid, Rising),
        column("message_id", BigInt, Value),
        column("previous", BigInt, Value),
        column("seq", BigInt, Value),
    ],
    options: "default_time_to_live = 259200 AND gc_grace_seconds = 10800 AND compaction = {'class': \
              'TimeWindowCompactionStrategy', 'compaction_window_unit': 'HOURS', 'compaction_window_size': '4'}",
};

/// How far the processors came: registers that only grow, with the offset as write timestamp.
pub(crate) const PROGRESS: Table = Table {
    name: "partition_progress",
    columns: &[
        column("partition", Int, Partition),
        column("log_offset", BigInt, Value),
        column("last", BigInt, Value),
        column("stamp", BigInt, Value),
    ],
    options: REWRITTEN,
};

/// The version of the tables, written when all of them are there, with itself as write timestamp.
pub(crate) const VERSION: Table = Table {
    name: "schema_version",
    columns: &[column("component", Text, Partition), column("version", Int, Value)],
    options: REWRITTEN,
};

#[cfg(test)]
mod tests {
    use ringside_types::limits::IDEMPOTENCY_ROW_MS;

    use super::*;

    #[test]
    fn keys_live_as_long_as_the_domain_says() {
        assert!(
            IDEMPOTENCY.options.contains(&format!("default_time_to_live = {}", IDEMPOTENCY_ROW_MS / 1_000))
        );
    }
}
