//! redb: one copy-on-write tree a table, one transaction a commit.

use std::path::Path;

use redb::{Database, ReadableDatabase as _, TableDefinition};

use super::{CACHE_BYTES, Engine, Outcome};
use crate::load::{Batch, Channel, Message};

type Table = TableDefinition<'static, &'static [u8], &'static [u8]>;

const LOG: Table = TableDefinition::new("log");
const MESSAGES: Table = TableDefinition::new("messages");
const KEYS: Table = TableDefinition::new("keys");
const HEADS: Table = TableDefinition::new("heads");

/// One file.
pub struct Redb {
    database: Database,
    /// Whether each commit also writes what a start after a crash would otherwise compute.
    quick_repair: bool,
}

impl Redb {
    pub fn open(folder: &Path, quick_repair: bool) -> Outcome<Self> {
        let database = Database::builder().set_cache_size(CACHE_BYTES).create(folder.join("store.redb"))?;
        Ok(Self { database, quick_repair })
    }
}

impl Engine for Redb {
    fn commit(&mut self, batch: &Batch) -> Outcome<()> {
        // `Durability::Immediate`, its default: durable when `commit` returns.
        let mut transaction = self.database.begin_write()?;
        transaction.set_quick_repair(self.quick_repair);
        {
            let mut log = transaction.open_table(LOG)?;
            let mut messages = transaction.open_table(MESSAGES)?;
            let mut keys = transaction.open_table(KEYS)?;
            let mut heads = transaction.open_table(HEADS)?;
            for message in &batch.messages {
                log.insert(&message.log_key()[..], message.payload())?;
                messages.insert(&message.row_key()[..], message.payload())?;
                keys.insert(&message.idempotency_key()[..], &message.idempotency_value()[..])?;
            }
            for (channel, head) in &batch.heads {
                heads.insert(&channel[..], &head[..])?;
            }
        }
        Ok(transaction.commit()?)
    }

    fn page(&self, channel: &Channel, rows: usize) -> Outcome<usize> {
        let messages = self.database.begin_read()?.open_table(MESSAGES)?;
        let (first, last) = ([&channel[..], &[0; 8]].concat(), [&channel[..], &[u8::MAX; 8]].concat());
        let (mut count, mut bytes) = (0, 0);
        for row in redb::ReadableTable::range::<&[u8]>(&messages, &first[..]..=&last[..])?.rev().take(rows) {
            bytes += row?.1.value().len();
            count += 1;
        }
        std::hint::black_box(bytes);
        Ok(count)
    }

    fn holds(&self, message: &Message) -> Outcome<bool> {
        let transaction = self.database.begin_read()?;
        let same = |table, key: &[u8], value: &[u8]| -> Outcome<bool> {
            let table = transaction.open_table(table)?;
            Ok(redb::ReadableTable::get(&table, key)?.is_some_and(|held| held.value() == value))
        };
        Ok(same(LOG, &message.log_key(), message.payload())?
            && same(MESSAGES, &message.row_key(), message.payload())?
            && same(KEYS, &message.idempotency_key(), &message.idempotency_value())?)
    }
}
