//! The load of the pipeline: each message is a record of `messages.send`, then its share of a commit (message, key, read
//! cursor, head, and of one `messages.stored` and one `messages.receive` record).
//!
//! `cargo bench -p ringside-embedded` runs it for ten seconds at full speed, then at 20,000 a second; under the test
//! runner it takes a tiny input, so that it can't rot. Latency is counted from the time that a
//! message was due.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::time::{Duration, Instant};

use ringside_domain::rows::{
    HeadRow, Key, KeyRow, MessageRow, Prefetch, Progress, ReadRow, Rows, WriteTimestamp,
};
use ringside_embedded::{Config, Engine};
use ringside_ports::commit::CommitBatch;
use ringside_ports::log::{Append, ReadLimit, Record};
use ringside_ports::{ChannelReader, Committer, Log};
use ringside_types::{ChannelId, ClientId, MessageId, Offset, PartitionId, Topic, UserId};
use ringside_wire::message::ContentType;
use uuid::Uuid;

#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

/// Bytes of a message's record.
const PAYLOAD_BYTES: usize = 250;
/// Channels of a partition; each has two members.
const CHANNELS: u64 = 2_500;
const PARTITIONS: u16 = 4;
/// How often an appender takes what is due, as the edge does once a turn.
const TURN: Duration = Duration::from_micros(500);
/// Messages of one append at the most.
const TURN_MESSAGES_MAX: u64 = 256;

fn main() {
    let is_bench = std::env::args().any(|word| word == "--bench");
    let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(2).enable_all().build();
    let runtime = runtime.expect("a runtime");
    let rounds: &[(u64, u64)] =
        if is_bench { &[(u64::MAX, 10_000), (20_000, 10_000)] } else { &[(2_000, 50)] };
    for (rate, ms) in rounds {
        runtime.block_on(round(*rate, Duration::from_millis(*ms)));
    }
}

/// Runs at `rate` messages a second, or as fast as answers come, and prints what it took.
async fn round(rate: u64, time: Duration) {
    let folder = tempfile::tempdir().expect("a temporary folder");
    let engine =
        Engine::open(folder.path(), Config { free_bytes_min: 0, ..Config::default() }).expect("opens");
    let (appended, done) = (Arc::new(AtomicU64::new(0)), Arc::new(AtomicBool::new(false)));
    let (cpu, began) = (cpu_seconds(), Instant::now());
    let mut appenders = Vec::new();
    let mut processors = Vec::new();
    for number in 0..PARTITIONS {
        let (log, total) = (engine.log(), Arc::clone(&appended));
        appenders.push(tokio::spawn(append(log, PartitionId(number), rate, began, time, total)));
        processors.push(tokio::spawn(process(engine.clone(), PartitionId(number), Arc::clone(&done))));
    }
    let mut acks = Vec::new();
    for appender in appenders {
        acks.extend(appender.await.expect("appends"));
    }
    done.store(true, Ordering::Release);
    let mut committed = 0;
    for processor in processors {
        committed += processor.await.expect("processes");
    }
    let (seconds, cpu) = (began.elapsed().as_secs_f64(), cpu_seconds() - cpu);
    assert_eq!(committed, appended.load(Ordering::Relaxed), "every message was committed");
    let counters = engine.counters();
    let batches = counters.batches.load(Ordering::Relaxed);
    let write_us = counters.write_us.load(Ordering::Relaxed);
    acks.sort_unstable();
    let at = |part: f64| acks[((acks.len() - 1) as f64 * part) as usize] as f64 / 1_000.0;
    println!(
        "rate {}: {:.0} messages/s, {:.1} us of CPU each, {:.0} batches/s of {:.1} messages, {:.0} us a write; \
         ack ms p50 {:.2} p99 {:.2} p99.9 {:.2}",
        if rate == u64::MAX { "full".into() } else { rate.to_string() },
        committed as f64 / seconds,
        cpu * 1e6 / committed as f64,
        batches as f64 / seconds,
        committed as f64 / batches as f64,
        write_us as f64 / batches as f64,
        at(0.5),
        at(0.99),
        at(0.999),
    );
}

/// Appends what is due, at most a turn's worth at once; returns the microseconds from due to answered, per append.
async fn append(
    log: impl Log,
    partition: PartitionId,
    rate: u64,
    began: Instant,
    time: Duration,
    total: Arc<AtomicU64>,
) -> Vec<u64> {
    let rate = if rate == u64::MAX { rate } else { rate / u64::from(PARTITIONS) };
    let (mut sent, mut took) = (0_u64, Vec::new());
    while began.elapsed() < time {
        let due =
            if rate == u64::MAX { u64::MAX } else { (began.elapsed().as_secs_f64() * rate as f64) as u64 };
        let count = due.saturating_sub(sent).min(TURN_MESSAGES_MAX);
        if count == 0 {
            tokio::time::sleep(TURN).await;
            continue;
        }
        let oldest_due = if rate == u64::MAX {
            began.elapsed()
        } else {
            Duration::from_secs_f64(sent as f64 / rate as f64)
        };
        let records = (0..count)
            .map(|number| {
                let mut payload = vec![b'x'; PAYLOAD_BYTES];
                payload[..8].copy_from_slice(&(sent + number).to_be_bytes());
                Append { topic: Topic::MessagesSend, partition, payload: payload.into() }
            })
            .collect();
        log.append(records).await.expect("appends");
        took.push(began.elapsed().saturating_sub(oldest_due).as_micros() as u64);
        sent += count;
    }
    total.fetch_add(sent, Ordering::Relaxed);
    took
}

/// Reads, asks the store what a processor asks, commits; returns how many messages, once the appenders are done.
async fn process(engine: Engine, partition: PartitionId, done: Arc<AtomicBool>) -> u64 {
    let (log, store, committer) = (engine.log(), engine.store(), engine.committer());
    let limit = ReadLimit { records: 2_048, bytes: 4 * 1024 * 1024 };
    let mut next = 0;
    loop {
        let is_last = done.load(Ordering::Acquire);
        let wait = Duration::from_millis(50);
        let from = Offset(next);
        let records = log.read(Topic::MessagesSend, partition, from, limit, wait).await.expect("reads");
        if records.is_empty() {
            if is_last {
                return next;
            }
            continue;
        }
        next += records.len() as u64;
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

/// User and system time of this process, all threads.
fn cpu_seconds() -> f64 {
    let stat = std::fs::read_to_string("/proc/self/stat").expect("Linux");
    let after_name = stat.rsplit_once(')').expect("a name in brackets").1;
    let fields: Vec<&str> = after_name.split_whitespace().collect();
    let ticks = |field: usize| fields[field].parse::<u64>().expect("ticks");
    // Fields 14 and 15 of proc(5), counted from the state, which is the third; a tick is 10 ms on Linux.
    (ticks(11) + ticks(12)) as f64 / 100.0
}
