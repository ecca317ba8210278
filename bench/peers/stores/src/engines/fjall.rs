//! fjall, with the settings of `core/adapters/embedded`: one write batch over four keyspaces, one `fdatasync`.

use std::path::Path;

use fjall::{Database, Keyspace, KeyspaceCreateOptions, PersistMode};

use super::{CACHE_BYTES, Engine, Outcome};
use crate::load::{Batch, Channel, Message};

/// Bytes of a memtable of the three tables with much traffic, and of the heads.
const BUSY_MEMTABLE_BYTES: u64 = 32 * 1024 * 1024;
const QUIET_MEMTABLE_BYTES: u64 = 8 * 1024 * 1024;
const JOURNAL_BYTES_MAX: u64 = 256 * 1024 * 1024;
const WORKERS: usize = 2;

/// Four keyspaces of one database.
pub struct Fjall {
    database: Database,
    log: Keyspace,
    messages: Keyspace,
    keys: Keyspace,
    heads: Keyspace,
}

impl Fjall {
    pub fn open(folder: &Path) -> Outcome<Self> {
        let database = Database::builder(folder)
            .cache_size(CACHE_BYTES as u64)
            .max_journaling_size(JOURNAL_BYTES_MAX)
            .worker_threads(WORKERS)
            .manual_journal_persist(true)
            .open()?;
        let table = |name, bytes| {
            database.keyspace(name, || KeyspaceCreateOptions::default().max_memtable_size(bytes))
        };
        Ok(Self {
            log: table("log", BUSY_MEMTABLE_BYTES)?,
            messages: table("messages", BUSY_MEMTABLE_BYTES)?,
            keys: table("keys", BUSY_MEMTABLE_BYTES)?,
            heads: table("heads", QUIET_MEMTABLE_BYTES)?,
            database,
        })
    }
}

impl Engine for Fjall {
    fn commit(&mut self, batch: &Batch) -> Outcome<()> {
        let mut writes = self.database.batch().durability(Some(PersistMode::SyncData));
        for message in &batch.messages {
            writes.insert(&self.log, message.log_key(), message.payload());
            writes.insert(&self.messages, message.row_key(), message.payload());
            writes.insert(&self.keys, message.idempotency_key(), message.idempotency_value());
        }
        for (channel, head) in &batch.heads {
            writes.insert(&self.heads, *channel, *head);
        }
        Ok(writes.commit()?)
    }

    fn page(&self, channel: &Channel, rows: usize) -> Outcome<usize> {
        let (mut count, mut bytes) = (0, 0);
        for row in self.messages.prefix(channel).rev().take(rows) {
            bytes += row.value()?.len();
            count += 1;
        }
        std::hint::black_box(bytes);
        Ok(count)
    }

    fn holds(&self, message: &Message) -> Outcome<bool> {
        Ok(self.log.get(message.log_key())?.as_deref() == Some(message.payload())
            && self.messages.get(message.row_key())?.as_deref() == Some(message.payload())
            && self.keys.get(message.idempotency_key())?.as_deref() == Some(&message.idempotency_value()))
    }
}
