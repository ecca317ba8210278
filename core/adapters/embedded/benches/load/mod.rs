//! What the benches write: each message is a record of `messages.send`, then its share of a commit (message, key, read
//! cursor, head, and of one `messages.stored` and one `messages.receive` record).

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use ringside_domain::rows::{
    HeadRow, Key, KeyRow, MessageRow, Prefetch, Progress, ReadRow, Rows, WriteTimestamp,
};
use ringside_embedded::Engine;
use ringside_ports::commit::CommitBatch;
use ringside_ports::log::{Append, ReadLimit, Record};
use ringside_ports::{ChannelReader, Committer, Log};
use ringside_types::{ChannelId, ClientId, MessageId, Offset, PartitionId, Topic, UserId};
use ringside_wire::message::ContentType;
use uuid::Uuid;

/// Of each topic that is written to.
pub const PARTITIONS: u16 = 4;
/// Bytes of a message's record.
const PAYLOAD_BYTES: usize = 250;
/// Channels of a partition; each has two members.
const CHANNELS: u64 = 2_500;

/// Records of so many messages, from a partition's message of number `first` on.
pub fn records(partition: PartitionId, first: u64, count: u64) -> Vec<Append> {
    let record = |number: u64| {
        let mut payload = vec![b'x'; PAYLOAD_BYTES];
        payload[..8].copy_from_slice(&number.to_be_bytes());
        Append { topic: Topic::MessagesSend, partition, payload: payload.into() }
    };
    (first..first + count).map(record).collect()
}

/// Reads from `from` on, asks the store what a processor asks, commits, until the appenders are done and nothing is left;
/// returns how far it came.
pub async fn process(engine: Engine, partition: PartitionId, from: Offset, done: Arc<AtomicBool>) -> Offset {
    let (log, store, committer) = (engine.log(), engine.store(), engine.committer());
    let limit = ReadLimit { records: 2_048, bytes: 4 * 1024 * 1024 };
    let mut next = from;
    loop {
        let is_last = done.load(Ordering::Acquire);
        let wait = Duration::from_millis(50);
        let records = log.read(Topic::MessagesSend, partition, next, limit, wait).await.expect("reads");
        if records.is_empty() {
            if is_last {
                return next;
            }
            continue;
        }
        next = Offset(next.0 + records.len() as u64);
        let batch = batch(partition, &records);
        let wanted =
            Prefetch { keys: batch.rows.keys.iter().map(|row| row.key).collect(), ..Prefetch::default() };
        store.load(&wanted).await.expect("loads");
        committer.commit(batch).await.expect("commits");
    }
}

fn batch(partition: PartitionId, records: &[Record]) -> CommitBatch {
    let mut rows = Rows::default();
    let mut heads = std::collections::HashMap::new();
    for record in records {
        let number = record.offset.0;
        let channel_id =
            ChannelId(Uuid::from_u64_pair(u64::from(partition.0) << 32, mixed(number % CHANNELS)));
        let sender_id = UserId(Uuid::from_u64_pair(2 << 32, mixed(number % (CHANNELS * 2))));
        let client_id = ClientId(Uuid::from_u64_pair(mixed(number), u64::from(partition.0)));
        let (message_id, seq) = (MessageId(number + 1), number / CHANNELS + 1);
        let stamp = WriteTimestamp(record.time.0 * 1_000 + number);
        rows.messages.push(MessageRow {
            channel_id,
            message_id,
            prev: MessageId::ZERO,
            seq,
            change: 0,
            client_id,
            sender_id,
            content: "x".repeat(PAYLOAD_BYTES - 100),
            content_type: ContentType::Text,
            metadata: String::new(),
            reply_to: MessageId::ZERO,
            edited_record: MessageId::ZERO,
            deleted_record: MessageId::ZERO,
            stamp,
        });
        rows.keys.push(KeyRow::new(Key { channel_id, sender_id, client_id }, message_id, None, seq, stamp));
        rows.reads.push(ReadRow {
            user_id: sender_id,
            channel_id,
            last_read_id: message_id,
            last_read_seq: seq,
        });
        let head = HeadRow {
            channel_id,
            last_effective_id: message_id,
            last_message_id: message_id,
            last_seq: seq,
            last_change: 0,
            stamp,
        };
        heads.insert(channel_id, head);
    }
    let packed: Vec<u8> = records.iter().flat_map(|record| record.payload.iter().copied()).collect();
    let to = |topic, partition| Append { topic, partition, payload: packed.clone().into() };
    let last = &records[records.len() - 1];
    let (last_id, stamp) =
        (MessageId(last.offset.0 + 1), WriteTimestamp(last.time.0 * 1_000 + last.offset.0));
    CommitBatch {
        partition,
        rows,
        outside: vec![to(Topic::MessagesStored, partition)],
        heads: heads.into_values().collect(),
        edges: vec![to(Topic::MessagesReceive, PartitionId(0))],
        progress: Progress { partition, offset: last.offset.next(), last: last_id, stamp },
    }
}

/// Spreads ids as random ones are (the finaliser of SplitMix64).
fn mixed(mut value: u64) -> u64 {
    value = value.wrapping_add(0x9e37_79b9_7f4a_7c15);
    value = (value ^ (value >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
    value = (value ^ (value >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
    value ^ (value >> 31)
}
