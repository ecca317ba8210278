//! SIGKILL in the middle of it: what the log answered is there, a commit is there whole or not at all, and what is not
//! there can be replayed from the log.

mod support;

use std::io::{BufRead, BufReader};
use std::path::Path;
use std::process::{Child, Command, Stdio};

use ringside_domain::rows::{Prefetch, Progress, Rows, WriteTimestamp};
use ringside_embedded::Engine;
use ringside_ports::commit::CommitBatch;
use ringside_ports::log::Append;
use ringside_ports::store::{MessageRange, Order};
use ringside_ports::{ChannelReader, Committer, Log, PartitionStore};
use ringside_types::{ChannelId, MessageId, Offset, PartitionId, Topic};
use support::{config, head, message, read_from, record};
use uuid::Uuid;

const FOLDER: &str = "RINGSIDE_TEST_CRASH_FOLDER";
const ROUNDS: usize = 8;
const CHANNEL: ChannelId = ChannelId(Uuid::from_u128(1));
const PARTITION: PartitionId = PartitionId(0);

/// Started by the tests below as a process of its own; by itself it does nothing.
#[test]
fn child() {
    let Some(folder) = std::env::var_os(FOLDER) else { return };
    let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(2).enable_all().build();
    runtime.expect("a runtime").block_on(append_and_commit(Path::new(&folder)));
}

/// Three appenders and a committer, for ever; each line says what was answered.
async fn append_and_commit(folder: &Path) {
    let engine = Engine::open(folder, config()).expect("opens");
    for appender in 1..4_u16 {
        let log = engine.log();
        tokio::spawn(async move {
            let end = log.bounds(Topic::MessagesSend, PartitionId(appender)).await.expect("bounds").end.0;
            for number in end.. {
                let payload = vec![number as u8; (number as usize * 37) % 5_000];
                let positions = log.append(vec![record(appender, payload)]).await.expect("appends");
                assert_eq!(positions[0].offset, Offset(number), "nobody else appends here");
                println!("answered {appender} {number}");
            }
        });
    }
    let (log, store, committer) = (engine.log(), engine.store(), engine.committer());
    let progress = store.partition(PARTITION).await.expect("reads").progress;
    let end = log.bounds(Topic::MessagesSend, PARTITION).await.expect("bounds").end.0;
    let committed = progress.map_or(0, |progress| progress.offset.0);
    for number in committed + 1..=end {
        committer.commit(batch(number)).await.expect("replays");
    }
    for number in end + 1.. {
        log.append(vec![record(0, number.to_be_bytes().to_vec())]).await.expect("appends");
        println!("answered 0 {number}");
        committer.commit(batch(number)).await.expect("commits");
    }
}

fn batch(number: u64) -> CommitBatch {
    let (id, stamp) = (MessageId(number), WriteTimestamp(number));
    let message = message(CHANNEL, number, "x".repeat((number as usize * 53) % 3_000));
    let edge = |topic| Append { topic, partition: PARTITION, payload: number.to_be_bytes().to_vec().into() };
    CommitBatch {
        partition: PARTITION,
        rows: Rows { messages: vec![message], ..Rows::default() },
        outside: vec![edge(Topic::MessagesStored)],
        heads: vec![head(CHANNEL, number)],
        edges: vec![edge(Topic::MessagesReceive)],
        progress: Progress { partition: PARTITION, offset: Offset(number), last: id, stamp },
    }
}

fn start(folder: &Path) -> Child {
    Command::new(std::env::current_exe().expect("this test's file"))
        .args(["--exact", "child", "--nocapture", "--test-threads", "1"])
        .env(FOLDER, folder)
        .stdout(Stdio::piped())
        .spawn()
        .expect("starts")
}

/// Lets a child run until it has answered `answers` times, then kills it. Updates what was answered last, per writer.
fn run_and_kill(folder: &Path, answers: usize, answered: &mut [Option<u64>; 4]) {
    let mut child = start(folder);
    let output = BufReader::new(child.stdout.take().expect("piped"));
    let mut left = answers;
    for line in output.lines() {
        let line = line.expect("text");
        // The test runner writes its own words on the same line as the first answer.
        let Some((_, answer)) = line.split_once("answered ") else { continue };
        let (writer, number) = answer.split_once(' ').expect("two numbers");
        let writer: usize = writer.parse().expect("a number");
        answered[writer] = Some(number.parse().expect("a number"));
        left = left.saturating_sub(1);
        if left == 0 {
            // Killed once; what is in the pipe still counts as answered.
            child.kill().expect("kills");
            left = usize::MAX;
        }
    }
    child.wait().expect("ends");
    assert!(left > answers, "the child ended by itself, {left} answers early");
}

async fn check(folder: &Path, answered: &[Option<u64>; 4]) {
    let engine = Engine::open(folder, config()).expect("a killed process leaves a folder that opens");
    let (log, store) = (engine.log(), engine.store());
    for appender in 1..4_u16 {
        let records = read_from(&log, Topic::MessagesSend, PartitionId(appender), 0).await;
        for (number, record) in records.iter().enumerate() {
            assert_eq!(record.payload, vec![number as u8; (number * 37) % 5_000]);
        }
        let last = answered[usize::from(appender)];
        let is_there = last.is_none_or(|last| records.len() as u64 > last);
        assert!(is_there, "{} records, {last:?} answered", records.len());
        assert!(records.is_sorted_by_key(|record| record.time));
    }
    let progress = store.partition(PARTITION).await.expect("reads").progress;
    let committed = progress.map_or(0, |progress| progress.offset.0);
    let end = log.bounds(Topic::MessagesSend, PARTITION).await.expect("bounds").end.0;
    assert!(end >= answered[0].unwrap_or(0), "{end} in the log, {:?} answered", answered[0]);
    assert!(committed <= end, "{committed} committed, {end} in the log");
    let wanted = Prefetch { channels: vec![CHANNEL], ..Prefetch::default() };
    let heads = store.load(&wanted).await.expect("loads").heads;
    assert_eq!(heads.first().map_or(0, |head| head.last_seq), committed, "the head is the batch's");
    let expected: Vec<u64> = (1..=committed).collect();
    let records = read_from(&log, Topic::MessagesStored, PARTITION, 0).await;
    let numbers: Vec<u64> = records.iter().map(|record| number(&record.payload)).collect();
    assert_eq!(numbers, expected, "one record of each batch");
    assert_eq!(read_from(&log, Topic::MessagesReceive, PARTITION, 0).await, [], "its readers have ended");
    let range = MessageRange {
        channel_id: CHANNEL,
        after: MessageId::ZERO,
        before: MessageId::MAX,
        limit: usize::MAX,
        order: Order::OldestFirst,
    };
    let messages = store.messages(&[range]).await.expect("reads").remove(0);
    assert_eq!(messages, expected.iter().flat_map(|number| batch(*number).rows.messages).collect::<Vec<_>>());
}

fn number(payload: &[u8]) -> u64 {
    u64::from_be_bytes(payload.try_into().expect("eight bytes"))
}

#[tokio::test]
async fn answered_is_there_after_sigkill() {
    let folder = tempfile::tempdir().expect("a temporary folder");
    let mut answered = [None; 4];
    for round in 0..ROUNDS {
        run_and_kill(folder.path(), 1 + round * round * 25, &mut answered);
        check(folder.path(), &answered).await;
    }
    assert!(answered.iter().all(Option::is_some), "every writer was heard: {answered:?}");
}

#[tokio::test]
async fn a_start_that_is_killed_is_started_again() {
    let folder = tempfile::tempdir().expect("a temporary folder");
    for delay_us in [0, 300, 1_000, 3_000, 6_000, 10_000, 20_000, 40_000] {
        let mut child = start(folder.path());
        std::thread::sleep(std::time::Duration::from_micros(delay_us));
        child.kill().expect("kills");
        child.wait().expect("ends");
        drop(Engine::open(folder.path(), config()).expect("opens whatever the start had done"));
    }
}
