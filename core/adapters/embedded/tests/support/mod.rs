//! Engines over folders that go with the test.

#![allow(dead_code, reason = "each test file uses a part of it")]

use std::sync::Mutex;
use std::time::Duration;

use ringside_domain::rows::{HeadRow, MessageRow, WriteTimestamp};
use ringside_embedded::{Config, EmbeddedLog, Engine};
use ringside_ports::Log;
use ringside_ports::log::{Append, ReadLimit, Record};
use ringside_types::{ChannelId, ClientId, MessageId, Offset, PartitionId, Topic, UserId};
use ringside_wire::message::ContentType;
use tempfile::TempDir;
use uuid::Uuid;

/// Settings for tests: little memory, and no claim on the disk's room.
pub fn config() -> Config {
    Config { tail_bytes: 256 * 1024, cache_bytes: 8 * 1024 * 1024, free_bytes_min: 0, ..Config::default() }
}

/// Makes engines over fresh folders, which live as long as this.
#[derive(Default)]
pub struct Folders(Mutex<Vec<TempDir>>);

impl Folders {
    pub fn engine(&self) -> Engine {
        let folder = tempfile::tempdir().expect("a temporary folder");
        let engine = Engine::open(folder.path(), config()).expect("opens");
        self.0.lock().expect("no test panics here").push(folder);
        engine
    }
}

/// One record for a partition of `messages.send`.
pub fn record(partition: u16, payload: impl Into<bytes::Bytes>) -> Append {
    Append { topic: Topic::MessagesSend, partition: PartitionId(partition), payload: payload.into() }
}

/// All records of a partition from `from` on; they must be dense.
pub async fn read_from(log: &EmbeddedLog, topic: Topic, partition: PartitionId, from: u64) -> Vec<Record> {
    let mut records: Vec<Record> = Vec::new();
    let limit = ReadLimit { records: 1_000, bytes: 1 << 20 };
    loop {
        let next = Offset(from + records.len() as u64);
        let page = log.read(topic, partition, next, limit, Duration::ZERO).await.expect("reads");
        if page.is_empty() {
            return records;
        }
        for record in page {
            assert_eq!(record.offset, Offset(from + records.len() as u64), "dense");
            records.push(record);
        }
    }
}

/// A channel's message whose id, number and stamp are this number.
pub fn message(channel_id: ChannelId, number: u64, content: String) -> MessageRow {
    MessageRow {
        channel_id,
        message_id: MessageId(number),
        prev: MessageId(number - 1),
        seq: number,
        change: 0,
        client_id: ClientId(Uuid::from_u128(u128::from(number))),
        sender_id: UserId(Uuid::from_u128(2)),
        content,
        content_type: ContentType::Text,
        metadata: String::new(),
        reply_to: MessageId::ZERO,
        edited_record: MessageId::ZERO,
        deleted_record: MessageId::ZERO,
        stamp: WriteTimestamp(number),
    }
}

/// The head of a channel whose last message is of this number.
pub fn head(channel_id: ChannelId, number: u64) -> HeadRow {
    HeadRow {
        channel_id,
        last_effective_id: MessageId(number),
        last_message_id: MessageId(number),
        last_seq: number,
        last_change: 0,
        stamp: WriteTimestamp(number),
    }
}
