//! Time: retention, a clock that steps back, idempotency rows that expire.

mod support;

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use ringside_domain::rows::{Key, KeyRow, Prefetch, Progress, Rows, WriteTimestamp};
use ringside_embedded::{Clock, Config, Engine};
use ringside_ports::contract;
use ringside_ports::log::{Append, Bounds};
use ringside_ports::{ChannelReader, Log, PartitionStore};
use ringside_types::{ChannelId, ClientId, MessageId, Offset, PartitionId, Topic, UserId};
use support::{config, read_from, record};
use uuid::Uuid;

const HOUR_MS: u64 = 60 * 60 * 1_000;
const DAY_MS: u64 = 24 * HOUR_MS;
const BEGIN_MS: u64 = 1_800_000_000_000;
const FIRST: PartitionId = PartitionId(0);

fn at(ms: u64) -> (Arc<AtomicU64>, Config) {
    let time = Arc::new(AtomicU64::new(ms));
    (Arc::clone(&time), Config { clock: Clock::Manual(time), ..config() })
}

fn control(payload: &'static str) -> Append {
    Append { topic: Topic::Control, partition: FIRST, payload: payload.into() }
}

#[tokio::test]
async fn old_records_go_and_offsets_stay() {
    let folder = tempfile::tempdir().expect("a temporary folder");
    let (time, config) = at(BEGIN_MS);
    let engine = Engine::open(folder.path(), config.clone()).expect("opens");
    let log = engine.log();
    // More than one trim takes at once.
    log.append((0..5_000).map(|_| control("old")).collect()).await.expect("appends");
    time.fetch_add(3 * DAY_MS, Ordering::Relaxed);
    log.append(vec![control("young"), control("young")]).await.expect("appends");
    assert_eq!(engine.sweep().await, Ok(0), "seven days are not over");
    time.fetch_add(5 * DAY_MS, Ordering::Relaxed);
    assert_eq!(engine.sweep().await, Ok(5_000));
    let bounds = Bounds { start: Offset(5_000), end: Offset(5_002) };
    assert_eq!(log.bounds(Topic::Control, FIRST).await, Ok(bounds));
    contract::log::below_the_start_is_an_error(log.clone(), Topic::Control, FIRST).await;
    drop((log, engine));
    let engine = Engine::open(folder.path(), config).expect("opens");
    let log = engine.log();
    assert_eq!(log.bounds(Topic::Control, FIRST).await, Ok(bounds), "after a restart too");
    contract::log::below_the_start_is_an_error(log.clone(), Topic::Control, FIRST).await;
    assert_eq!(read_from(&log, Topic::Control, FIRST, 5_000).await.len(), 2);
}

#[tokio::test]
async fn an_emptied_partition_goes_on_where_it_was() {
    let folder = tempfile::tempdir().expect("a temporary folder");
    let (time, config) = at(BEGIN_MS);
    let engine = Engine::open(folder.path(), config.clone()).expect("opens");
    engine.log().append(vec![control("a"), control("b")]).await.expect("appends");
    time.fetch_add(8 * DAY_MS, Ordering::Relaxed);
    assert_eq!(engine.sweep().await, Ok(2));
    let bounds = Bounds { start: Offset(2), end: Offset(2) };
    assert_eq!(engine.log().bounds(Topic::Control, FIRST).await, Ok(bounds));
    drop(engine);
    // The clock is back before the first record, and the log's time is not.
    time.store(BEGIN_MS - DAY_MS, Ordering::Relaxed);
    let engine = Engine::open(folder.path(), config).expect("opens");
    let position = engine.log().append(vec![control("c")]).await.expect("appends")[0];
    assert_eq!(position.offset, Offset(2));
    assert_eq!(position.time.0, BEGIN_MS);
}

#[tokio::test]
async fn unapplied_commands_stay_however_old() {
    let folder = tempfile::tempdir().expect("a temporary folder");
    let (time, config) = at(BEGIN_MS);
    let engine = Engine::open(folder.path(), config).expect("opens");
    let (log, store) = (engine.log(), engine.store());
    log.append(vec![record(0, "applied"), record(1, "not yet")]).await.expect("appends");
    let apply = async |partition: PartitionId, offset: u64| {
        let progress = Progress { offset: Offset(offset), ..Progress::start(partition) };
        store.write_progress(progress).await.expect("writes");
    };
    apply(FIRST, 1).await;
    time.fetch_add(30 * DAY_MS, Ordering::Relaxed);
    log.append(vec![record(0, "young")]).await.expect("appends");
    assert_eq!(engine.sweep().await, Ok(0), "they share a segment");
    apply(PartitionId(1), 1).await;
    assert_eq!(engine.sweep().await, Ok(2));
    assert_eq!(log.bounds(Topic::MessagesSend, FIRST).await.expect("bounds").start, Offset(1));
    assert_eq!(log.bounds(Topic::MessagesSend, PartitionId(1)).await.expect("bounds").start, Offset(1));
}

#[tokio::test]
async fn the_sweeper_runs_by_itself() {
    let folder = tempfile::tempdir().expect("a temporary folder");
    let (time, config) = at(BEGIN_MS);
    let config = Config { sweep_interval: Duration::from_millis(5), ..config };
    let engine = Engine::open(folder.path(), config).expect("opens");
    let log = engine.log();
    log.append(vec![control("a")]).await.expect("appends");
    time.fetch_add(8 * DAY_MS, Ordering::Relaxed);
    let swept = async {
        while log.bounds(Topic::Control, FIRST).await.expect("bounds").start == Offset(0) {
            tokio::time::sleep(Duration::from_millis(2)).await;
        }
    };
    tokio::time::timeout(Duration::from_secs(20), swept).await.expect("it sweeps");
}

#[tokio::test]
async fn a_retention_below_the_least_is_the_least() {
    let folder = tempfile::tempdir().expect("a temporary folder");
    let (time, config) = at(BEGIN_MS);
    let config = Config { log_retention: Duration::ZERO, ..config };
    let engine = Engine::open(folder.path(), config).expect("opens");
    engine.log().append(vec![control("a")]).await.expect("appends");
    time.fetch_add(71 * HOUR_MS, Ordering::Relaxed);
    assert_eq!(engine.sweep().await, Ok(0));
    time.fetch_add(2 * HOUR_MS, Ordering::Relaxed);
    assert_eq!(engine.sweep().await, Ok(1));
}

#[tokio::test]
async fn the_logs_time_never_steps_back() {
    let folder = tempfile::tempdir().expect("a temporary folder");
    let (time, config) = at(BEGIN_MS);
    let engine = Engine::open(folder.path(), config.clone()).expect("opens");
    let log = engine.log();
    let append = async |log: &ringside_embedded::EmbeddedLog| {
        log.append(vec![record(0, "a")]).await.expect("appends")[0].time.0
    };
    assert_eq!(append(&log).await, BEGIN_MS);
    time.store(BEGIN_MS - 5_000, Ordering::Relaxed);
    assert_eq!(append(&log).await, BEGIN_MS);
    let other = log.append(vec![record(1, "a")]).await.expect("appends")[0];
    assert_eq!(other.time.0, BEGIN_MS - 5_000, "each partition has its own time");
    drop((log, engine));
    let engine = Engine::open(folder.path(), config).expect("opens");
    assert_eq!(append(&engine.log()).await, BEGIN_MS, "after a restart too");
}

#[tokio::test]
async fn idempotency_rows_live_72_hours() {
    let folder = tempfile::tempdir().expect("a temporary folder");
    let (time, config) = at(BEGIN_MS);
    let engine = Engine::open(folder.path(), config).expect("opens");
    let store = engine.store();
    let key = Key {
        channel_id: ChannelId(Uuid::from_u128(1)),
        sender_id: UserId(Uuid::from_u128(2)),
        client_id: ClientId(Uuid::from_u128(3)),
    };
    let row = KeyRow {
        key,
        message_id: MessageId(5),
        previous: MessageId::ZERO,
        seq: 1,
        stamp: WriteTimestamp(BEGIN_MS * 1_000),
    };
    store.write_rows(FIRST, &Rows { keys: vec![row], ..Rows::default() }).await.expect("writes");
    let kept = async || {
        let wanted = Prefetch { keys: vec![key], ..Prefetch::default() };
        store.load(&wanted).await.expect("loads").keys
    };
    time.fetch_add(72 * HOUR_MS, Ordering::Relaxed);
    assert_eq!(kept().await, [row]);
    time.fetch_add(1, Ordering::Relaxed);
    assert_eq!(kept().await, []);
    let again = KeyRow {
        message_id: MessageId(9),
        stamp: WriteTimestamp(time.load(Ordering::Relaxed) * 1_000),
        ..row
    };
    store.write_rows(FIRST, &Rows { keys: vec![again], ..Rows::default() }).await.expect("writes");
    assert_eq!(kept().await, [again], "the key may be used again");
}
