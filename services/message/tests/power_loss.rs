//! The machine loses power while the embedded engines are at work: what the store's journal had not on the disk is replayed
//! from the log, to the same rows, and nothing is lost, doubled or renumbered.
//!
//! A copy of the folder, taken between two batches, is what a killed process leaves. Of the store's journal, any of the
//! sectors behind a random point are taken away then.

use std::fs::{self, File, OpenOptions};
use std::io::Read as _;
use std::os::unix::fs::FileExt as _;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::Duration;

use rand::rngs::StdRng;
use rand::{RngExt as _, SeedableRng as _};
use ringside_application::consumer;
use ringside_clock::now;
use ringside_domain::rows::{HeadRow, MessageRow, Prefetch, Prefetched, Progress};
use ringside_embedded::{Clock, Config, Engine};
use ringside_message::processor::{self, Counters, init, open, turn};
use ringside_ports::log::{Append, ReadLimit, Record};
use ringside_ports::store::{MessageRange, Order};
use ringside_ports::{ChannelReader as _, Log as _, PartitionStore as _};
use ringside_types::{ChannelId, MessageId, Offset, PartitionId, Topic, UnixMillis, UserId};
use ringside_wire::records::{
    Command, Member, Membership, MembershipKind, Send, Stored, StoredItem, command,
};
use tempfile::TempDir;
use tokio::sync::watch;
use uuid::Uuid;

const PARTITION: PartitionId = PartitionId(0);
const CHANNELS: u128 = 3;
const USERS: u128 = 2;
/// Batches of commands; the folder is copied after each.
const BATCHES: usize = 12;
/// Power losses for each copy.
const CUTS: u64 = 14;
const SECTOR: usize = 512;

fn bytes(number: u128) -> bytes::Bytes {
    Uuid::from_u128(number).as_bytes().to_vec().into()
}

fn channel(number: u128) -> u128 {
    0xc0 + number
}

fn config() -> Config {
    Config { tail_bytes: 64 * 1024, cache_bytes: 8 << 20, free_bytes_min: 0, ..Config::default() }
}

fn record(body: command::Body) -> Append {
    let payload = ringside_wire::encode(&Command { body: Some(body) });
    Append { topic: Topic::MessagesSend, partition: PARTITION, payload }
}

fn created(number: u128) -> Append {
    let member = |user| Member { user_id: bytes(user), role: "member".into() };
    record(command::Body::Membership(Membership {
        channel_id: bytes(channel(number)),
        version: 1,
        actor_id: bytes(0),
        kind: MembershipKind::Created.into(),
        channel: None,
        members: (0..USERS).map(member).collect(),
    }))
}

/// A message; every fourth is a retry of an earlier one.
fn sent(random: &mut StdRng, number: u128) -> Append {
    let client = if random.random_ratio(1, 4) { random.random_range(0..=number) } else { number };
    record(command::Body::Send(Send {
        channel_id: bytes(channel(random.random_range(0..CHANNELS))),
        sender_id: bytes(random.random_range(0..USERS)),
        client_id: bytes(0xffff + client),
        content: "x".repeat(random.random_range(1..900)),
        ..Send::default()
    }))
}

/// What readers and the next processor can see.
#[derive(Debug, PartialEq)]
struct Seen {
    messages: Vec<Vec<MessageRow>>,
    heads: Vec<HeadRow>,
    others: Prefetched,
    progress: Option<Progress>,
    /// What search, push and moderation are told: never less than the messages.
    stored: Vec<StoredItem>,
}

async fn seen(engine: &Engine) -> Seen {
    let (store, ids) =
        (engine.store(), (0..CHANNELS).map(|number| ChannelId(Uuid::from_u128(channel(number)))));
    let channels: Vec<ChannelId> = ids.collect();
    let range = |channel_id: &ChannelId| MessageRange {
        channel_id: *channel_id,
        after: MessageId::ZERO,
        before: MessageId::MAX,
        limit: usize::MAX,
        order: Order::OldestFirst,
    };
    let ranges: Vec<MessageRange> = channels.iter().map(range).collect();
    let pairs = channels
        .iter()
        .flat_map(|channel| (0..USERS).map(move |user| (*channel, UserId(Uuid::from_u128(user)))));
    let members: Vec<_> = pairs.collect();
    let wanted = Prefetch {
        channels,
        reads: members.iter().map(|(channel, user)| (*user, *channel)).collect(),
        members,
        ..Prefetch::default()
    };
    let mut others = store.load(&wanted).await.expect("loads");
    Seen {
        messages: store.messages(&ranges).await.expect("reads"),
        heads: std::mem::take(&mut others.heads),
        others,
        progress: store.partition(PARTITION).await.expect("reads").progress,
        stored: stored(engine).await,
    }
}

async fn stored(engine: &Engine) -> Vec<StoredItem> {
    let all = ReadLimit { records: usize::MAX, bytes: usize::MAX };
    let log = engine.log();
    let read = log.read(Topic::MessagesStored, PARTITION, Offset(0), all, Duration::ZERO).await;
    // A replay cuts batches elsewhere.
    let items =
        |record: Record| ringside_wire::decode::<Stored>(record.payload).expect("what was stored").items;
    read.expect("reads").into_iter().flat_map(items).collect()
}

/// Applies all that the log has.
async fn apply_all(engine: &Engine) {
    let (log, store, committer) = (engine.log(), engine.store(), engine.committer());
    let mut machine = open(PARTITION, &log, &store).await.expect("opens");
    let end = log.bounds(Topic::MessagesSend, PARTITION).await.expect("bounds").end;
    while machine.progress().offset < end {
        turn(&mut machine, &log, &store, &committer, &Counters::default()).await.expect("applies");
    }
}

fn copy(from: &Path) -> TempDir {
    let into = tempfile::tempdir().expect("a temporary folder");
    let (source, target) = (from.join("."), into.path());
    let done =
        std::process::Command::new("cp").args(["-a", "--sparse=always"]).arg(source).arg(target).status();
    assert!(done.expect("cp").success());
    into
}

fn journal(folder: &Path) -> PathBuf {
    let files = fs::read_dir(folder.join("store")).expect("lists").map(|entry| entry.expect("lists").path());
    files.filter(|path| path.extension().is_some_and(|name| name == "jnl")).max().expect("a journal")
}

/// Takes away any of the sectors behind a random point, or from there on all.
fn lose_power(folder: &Path, random: &mut StdRng) {
    let path = journal(folder);
    // The journal's file is far longer than what is written in it.
    let mut bytes = Vec::new();
    File::open(&path).and_then(|file| file.take(1 << 20).read_to_end(&mut bytes)).expect("reads");
    let written = bytes.iter().rposition(|byte| *byte != 0).map_or(0, |last| last + 1);
    let file: File = OpenOptions::new().write(true).open(&path).expect("opens");
    let (from, loses_all) = (random.random_range(0..=written), random.random_bool(0.3));
    for sector in (from.next_multiple_of(SECTOR)..written).step_by(SECTOR) {
        if loses_all || random.random_bool(0.5) {
            file.write_all_at(&[0; SECTOR], sector as u64).expect("writes");
        }
    }
}

/// Folders as they were after each batch.
async fn lived(random: &mut StdRng) -> (Vec<TempDir>, TempDir) {
    let folder = tempfile::tempdir().expect("a temporary folder");
    let engine = Engine::open(folder.path(), config()).expect("opens");
    let (log, mut copies, mut number) = (engine.log(), Vec::new(), 0);
    init(PARTITION, &log, &engine.store()).await.expect("begins");
    log.append((0..CHANNELS).map(created).collect()).await.expect("appends");
    for _ in 0..BATCHES {
        let mut records = Vec::new();
        for _ in 0..random.random_range(1..12) {
            records.push(sent(random, number));
            number += 1;
        }
        log.append(records).await.expect("appends");
        apply_all(&engine).await;
        copies.push(copy(folder.path()));
    }
    drop((log, engine));
    (copies, folder)
}

/// The power fails before the last commits are on the disk, and the machine stays off for days.
#[tokio::test]
async fn a_machine_that_was_off_for_days_goes_on() {
    let folder = tempfile::tempdir().expect("a temporary folder");
    let days_ago = UnixMillis(now().0 - 62 * 60 * 60 * 1_000);
    let clock = Clock::Manual(Arc::new(days_ago.0.into()));
    let engine = Engine::open(folder.path(), Config { clock, ..config() }).expect("opens");
    init(PARTITION, &engine.log(), &engine.store()).await.expect("begins");
    let mut random = StdRng::seed_from_u64(1);
    let records = (0..CHANNELS).map(created).chain([sent(&mut random, 0)]).collect();
    engine.log().append(records).await.expect("appends");
    drop(engine);
    let engine = Engine::open(folder.path(), config()).expect("opens");
    let (log, store, committer) = (engine.log(), engine.store(), engine.committer());
    let (stop, stopping) = watch::channel(false);
    let counters = Arc::new(Counters::default());
    let processors =
        processor::run(consumer::all(1), log.clone(), store, committer, counters.clone(), stopping);
    let applied = async {
        while counters.batches.load(Ordering::Relaxed) == 0 {
            tokio::time::sleep(Duration::from_millis(5)).await;
        }
        stop.send_replace(true);
    };
    let (ended, ()) = tokio::join!(processors, applied);
    assert_eq!(ended, Ok(()), "it does not lag: nobody was there");
    assert_eq!(seen(&engine).await.messages.concat().len(), 1);
}

#[tokio::test]
async fn what_the_store_lost_is_replayed_to_the_same_rows() {
    let mut random = StdRng::seed_from_u64(14);
    let (copies, _whole) = lived(&mut random).await;
    let mut behind = 0;
    for killed in copies {
        // What was answered, by the log alone: applied from the beginning, nothing is cut.
        let undisturbed = copy(killed.path());
        let engine = Engine::open(undisturbed.path(), config()).expect("opens");
        apply_all(&engine).await;
        let expected = seen(&engine).await;
        drop(engine);
        for cut in 0..CUTS {
            let folder = copy(killed.path());
            lose_power(folder.path(), &mut random);
            let engine = Engine::open(folder.path(), config()).expect("nothing that a person must mend");
            behind += usize::from(seen(&engine).await.progress != expected.progress);
            apply_all(&engine).await;
            assert_eq!(seen(&engine).await, expected, "cut {cut}");
        }
    }
    assert!(behind > BATCHES * CUTS as usize / 2, "the store was behind {behind} times");
}
