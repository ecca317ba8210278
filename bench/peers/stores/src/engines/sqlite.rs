//! SQLite: a write-ahead log that is synced at each commit, tables that are their own index.

use std::path::Path;

use rusqlite::{Connection, OptionalExtension as _};

use super::{CACHE_BYTES, Engine, Outcome};
use crate::load::{Batch, Channel, Message};

/// Statements that stay prepared.
const STATEMENTS_MAX: usize = 16;

const TABLES: &str = "
    CREATE TABLE IF NOT EXISTS log (key BLOB PRIMARY KEY, value BLOB NOT NULL) WITHOUT ROWID;
    CREATE TABLE IF NOT EXISTS messages (key BLOB PRIMARY KEY, value BLOB NOT NULL) WITHOUT ROWID;
    CREATE TABLE IF NOT EXISTS keys (key BLOB PRIMARY KEY, value BLOB NOT NULL) WITHOUT ROWID;
    CREATE TABLE IF NOT EXISTS heads (key BLOB PRIMARY KEY, value BLOB NOT NULL) WITHOUT ROWID;";

/// One connection: a single writer needs no more.
pub struct Sqlite(Connection);

impl Sqlite {
    pub fn open(folder: &Path) -> Outcome<Self> {
        let connection = Connection::open(folder.join("store.sqlite"))?;
        connection.pragma_update(None, "journal_mode", "WAL")?;
        connection.pragma_update(None, "synchronous", "FULL")?;
        // Negative: in KiB.
        connection.pragma_update(None, "cache_size", -((CACHE_BYTES / 1024) as i64))?;
        connection.set_prepared_statement_cache_capacity(STATEMENTS_MAX);
        connection.execute_batch(TABLES)?;
        Ok(Self(connection))
    }
}

impl Engine for Sqlite {
    fn commit(&mut self, batch: &Batch) -> Outcome<()> {
        let transaction = self.0.transaction()?;
        {
            let mut log = transaction.prepare_cached("INSERT INTO log VALUES (?1, ?2)")?;
            let mut messages = transaction.prepare_cached("INSERT INTO messages VALUES (?1, ?2)")?;
            let mut keys = transaction.prepare_cached("INSERT INTO keys VALUES (?1, ?2)")?;
            let mut heads = transaction.prepare_cached("INSERT OR REPLACE INTO heads VALUES (?1, ?2)")?;
            for message in &batch.messages {
                log.execute((message.log_key(), message.payload()))?;
                messages.execute((message.row_key(), message.payload()))?;
                keys.execute((message.idempotency_key(), message.idempotency_value()))?;
            }
            for (channel, head) in &batch.heads {
                heads.execute((channel, head))?;
            }
        }
        Ok(transaction.commit()?)
    }

    fn page(&self, channel: &Channel, rows: usize) -> Outcome<usize> {
        let mut newest = self.0.prepare_cached(
            "SELECT value FROM messages WHERE key BETWEEN ?1 AND ?2 ORDER BY key DESC LIMIT ?3",
        )?;
        let (first, last) = ([&channel[..], &[0; 8]].concat(), [&channel[..], &[u8::MAX; 8]].concat());
        let mut found = newest.query((first, last, rows as i64))?;
        let (mut count, mut bytes) = (0, 0);
        while let Some(row) = found.next()? {
            bytes += row.get_ref(0)?.as_blob()?.len();
            count += 1;
        }
        std::hint::black_box(bytes);
        Ok(count)
    }

    fn holds(&self, message: &Message) -> Outcome<bool> {
        let same = |table: &str, key: &[u8], value: &[u8]| -> Outcome<bool> {
            let mut one = self.0.prepare_cached(&format!("SELECT value FROM {table} WHERE key = ?1"))?;
            let held: Option<Vec<u8>> = one.query_row([key], |row| row.get(0)).optional()?;
            Ok(held.as_deref() == Some(value))
        };
        Ok(same("log", &message.log_key(), message.payload())?
            && same("messages", &message.row_key(), message.payload())?
            && same("keys", &message.idempotency_key(), &message.idempotency_value())?)
    }
}
