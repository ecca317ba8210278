//! The tables: keyspaces of one database, so that one write batch over all of them is atomic.

pub(crate) mod amendments;
pub(crate) mod expiry;
pub(crate) mod layout;
pub(crate) mod rows;
pub(crate) mod settings;

use std::mem::ManuallyDrop;
use std::path::Path;
use std::sync::Arc;

use fjall::{Database, Keyspace, KeyspaceCreateOptions, Readable, Snapshot};
use ringside_ports::EngineError;
use ringside_types::{Offset, PartitionId, Topic};

use crate::age::Age;
use crate::clock::Clock;
use layout::Builder;
use rows::Row;

/// Bytes that a keyspace with much traffic gathers in memory before it writes a table file.
const BUSY_MEMTABLE_BYTES: u64 = 32 * 1024 * 1024;
/// The same of one with little.
const QUIET_MEMTABLE_BYTES: u64 = 8 * 1024 * 1024;
/// Bytes of journal that a start may have to read again.
const JOURNAL_BYTES_MAX: u64 = 256 * 1024 * 1024;
/// Threads that flush and compact. One: the database syncs its journal, and then writes what is sealed by then. Were there
/// another, it could seal more in between, and after a power loss a table would be ahead of the journal.
const WORKERS: usize = 1;

const _: () = assert!(QUIET_MEMTABLE_BYTES <= BUSY_MEMTABLE_BYTES);
const _: () = assert!(4 * BUSY_MEMTABLE_BYTES <= JOURNAL_BYTES_MAX, "busy tables may fill at once");
const _: () = assert!(JOURNAL_BYTES_MAX >= 64 * 1024 * 1024, "fjall's least");

/// The keyspace that had the log in folders of format 1.
const OLD_LOG: &str = "log";
/// The keyspace of idempotency keys: its rows expire.
const KEYS: &str = "keys";

#[derive(Clone)]
pub(crate) struct Tables {
    pub(crate) database: Database,
    /// Records that commits write beside their rows: (topic, partition, offset).
    pub(crate) derived: Keyspace,
    /// Where partitions of the log begin, and what consumer groups committed.
    pub(crate) places: Keyspace,
    /// Progress and slots of the partitions of `messages.send`.
    pub(crate) partitions: Keyspace,
    pub(crate) messages: Keyspace,
    pub(crate) changes: Keyspace,
    /// (channel, record) -> change.
    pub(crate) change_of_record: Keyspace,
    pub(crate) heads: Keyspace,
    pub(crate) members: Keyspace,
    pub(crate) settings: Keyspace,
    pub(crate) keys: Keyspace,
    pub(crate) interest: Keyspace,
    pub(crate) reads: Keyspace,
    pub(crate) delivered: Keyspace,
    pub(crate) reactions: Keyspace,
    pub(crate) pins: Keyspace,
    /// (channel, answered message, reply).
    pub(crate) replies: Keyspace,
    /// By which idempotency keys expire.
    pub(crate) age: Age,
}

impl Tables {
    pub(crate) fn open(path: &Path, cache_bytes: u64, clock: &Clock) -> fjall::Result<Self> {
        let age = Age::new(clock);
        let of_keys = age.clone();
        let filters = move |name: &str| -> Option<Arc<dyn fjall::compaction::filter::Factory>> {
            (name == KEYS).then(|| Arc::new(expiry::Expired::new(of_keys.clone())) as _)
        };
        let database = Database::builder(path)
            .cache_size(cache_bytes)
            .max_journaling_size(JOURNAL_BYTES_MAX)
            .worker_threads(WORKERS)
            // Nothing is synced by itself: what a crash takes is replayed from the log.
            .manual_journal_persist(true)
            .with_compaction_filter_factories(Arc::new(filters))
            .open()?;
        // Where the database panics over what it reads, to close it panics again, and that ends the process.
        let database = ManuallyDrop::new(database);
        let tables = Self::over(&database, age);
        drop(ManuallyDrop::into_inner(database));
        tables
    }

    fn over(database: &Database, age: Age) -> fjall::Result<Self> {
        let busy = |name| {
            let options = || KeyspaceCreateOptions::default().max_memtable_size(BUSY_MEMTABLE_BYTES);
            database.keyspace(name, options)
        };
        let quiet = |name| {
            let options = || KeyspaceCreateOptions::default().max_memtable_size(QUIET_MEMTABLE_BYTES);
            database.keyspace(name, options)
        };
        Ok(Self {
            derived: busy("derived")?,
            places: quiet("places")?,
            partitions: quiet("partitions")?,
            messages: busy("messages")?,
            changes: quiet("changes")?,
            change_of_record: quiet("change_of_record")?,
            heads: quiet("heads")?,
            members: quiet("members")?,
            settings: quiet("settings")?,
            keys: busy(KEYS)?,
            interest: quiet("interest")?,
            reads: quiet("reads")?,
            delivered: quiet("delivered")?,
            reactions: quiet("reactions")?,
            pins: quiet("pins")?,
            replies: quiet("replies")?,
            age,
            database: database.clone(),
        })
    }

    /// Where folders of format 1 have their log; `None`: this one never had.
    pub(crate) fn old_log(&self) -> fjall::Result<Option<Keyspace>> {
        let is_there = self.database.keyspace_exists(OLD_LOG);
        is_there.then(|| self.database.keyspace(OLD_LOG, KeyspaceCreateOptions::default)).transpose()
    }

    /// All of them, in one order.
    pub(crate) fn all(&self) -> [&Keyspace; 16] {
        // A table that is added is named here, or this does not compile.
        let Self {
            database: _,
            age: _,
            derived,
            places,
            partitions,
            messages,
            changes,
            change_of_record,
            heads,
            members,
            settings,
            keys,
            interest,
            reads,
            delivered,
            reactions,
            pins,
            replies,
        } = self;
        [
            derived,
            places,
            partitions,
            messages,
            changes,
            change_of_record,
            heads,
            members,
            settings,
            keys,
            interest,
            reads,
            delivered,
            reactions,
            pins,
            replies,
        ]
    }
}

/// Reads one row. Never past a snapshot: the database applies a batch row by row, in no order, and a reader that asks a
/// keyspace itself sees a part of it.
pub(crate) fn get<R: Row>(at: &Snapshot, table: &Keyspace, key: &[u8]) -> Result<Option<R>, EngineError> {
    let Some(value) = at.get(table, key).map_err(failed)? else { return Ok(None) };
    R::read(key, &value).map(Some).ok_or_else(|| damaged(table, key))
}

/// Reads the rows whose keys begin with `prefix`, in the order of their keys.
pub(crate) fn with_prefix<R: Row>(
    at: &Snapshot,
    table: &Keyspace,
    prefix: &[u8],
    rows: &mut Vec<R>,
) -> Result<(), EngineError> {
    for pair in at.prefix(table, prefix) {
        let (key, value) = pair.into_inner().map_err(failed)?;
        rows.push(R::read(&key, &value).ok_or_else(|| damaged(table, &key))?);
    }
    Ok(())
}

/// The key of a record that a commit wrote beside its rows.
pub(crate) fn record_key(topic: Topic, partition: PartitionId, offset: Offset) -> Vec<u8> {
    Builder::default().u8(topic as u8).u16(partition.0).u64(offset.0).done()
}

/// The key of the place where a partition of such records begins.
pub(crate) fn start_key(topic: Topic, partition: PartitionId) -> Vec<u8> {
    Builder::default().u8(b's').u8(topic as u8).u16(partition.0).done()
}

/// The key of what a consumer group committed.
pub(crate) fn group_key(group: &str, topic: Topic, partition: PartitionId) -> Vec<u8> {
    Builder::default().u8(b'g').u8(topic as u8).u16(partition.0).raw(group.as_bytes()).done()
}

/// The name of this engine in errors.
pub(crate) const ENGINE: &str = "embedded";

/// An operation of the database failed.
#[expect(clippy::needless_pass_by_value, reason = "it is what `map_err` hands over")]
pub(crate) fn failed(error: fjall::Error) -> EngineError {
    EngineError::Unavailable { engine: ENGINE, cause: reason(&error) }
}

/// What went wrong, for people.
pub(crate) fn reason(error: &fjall::Error) -> String {
    match error {
        fjall::Error::Io(error) => error.to_string(),
        fjall::Error::Storage(fjall::LsmError::Io(error)) => error.to_string(),
        other => format!("{other:?}"),
    }
}

/// A row can't be read.
pub(crate) fn damaged(table: &Keyspace, key: &[u8]) -> EngineError {
    let key: String = key.iter().map(|byte| format!("{byte:02x}")).collect();
    EngineError::Damaged { engine: ENGINE, cause: format!("table `{}`, key {key}", table.name()) }
}
