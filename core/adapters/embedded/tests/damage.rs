//! A byte that the disk changed, in any file of the data folder: the engine says so, or nothing that is read differs.

mod support;

use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

use ringside_domain::rows::{MessageRow, Prefetch, Progress, Rows, WriteTimestamp};
use ringside_embedded::Engine;
use ringside_ports::commit::CommitBatch;
use ringside_ports::log::Append;
use ringside_ports::store::{MessageRange, Order};
use ringside_ports::{ChannelReader, Committer, Log, PartitionStore};
use ringside_types::{ChannelId, MessageId, Offset, PartitionId, Topic};
use support::{config, head, message, read_from, record};
use uuid::Uuid;

const CHANNEL: ChannelId = ChannelId(Uuid::from_u128(1));
const PARTITION: PartitionId = PartitionId(0);
/// Messages, each a record of the log and a commit.
const MESSAGES: u64 = 200;
/// The folder that [`reader`] reads.
const FOLDER: &str = "RINGSIDE_DAMAGED_FOLDER";
/// What it says begins so.
const SEEN: &str = "seen: ";
/// Something was read that was never written, and nobody noticed.
const WRONG: &str = "wrong:";
/// Places that are tried in a file, at the most.
const PLACES: usize = 8;

fn batch(number: u64) -> CommitBatch {
    let (id, stamp) = (MessageId(number), WriteTimestamp(number));
    let message = message(CHANNEL, number, format!("message {number}"));
    let payload = format!("stored {number}").into();
    CommitBatch {
        partition: PARTITION,
        rows: Rows { messages: vec![message], ..Rows::default() },
        outside: vec![Append { topic: Topic::MessagesStored, partition: PARTITION, payload }],
        heads: vec![head(CHANNEL, number)],
        edges: Vec::new(),
        progress: Progress { partition: PARTITION, offset: Offset(number), last: id, stamp },
    }
}

/// A folder with a log, tables on the disk, and a journal.
fn filled(runtime: &tokio::runtime::Runtime, folder: &Path) {
    for part in [1..=MESSAGES / 2, MESSAGES / 2 + 1..=MESSAGES] {
        let engine = Engine::open(folder, config()).expect("opens");
        for number in part.clone() {
            let written = async {
                engine.log().append(vec![record(0, format!("record {number}"))]).await?;
                engine.committer().commit(batch(number)).await
            };
            runtime.block_on(written).expect("writes");
        }
        drop(engine);
        if part.contains(&1) {
            flush(&folder.join("store"));
        }
    }
}

/// Has the database write what it holds in memory as tables.
fn flush(store: &Path) {
    let database = fjall::Database::builder(store).open().expect("opens");
    for name in database.list_keyspace_names() {
        let keyspace = database.keyspace(&name, fjall::KeyspaceCreateOptions::default).expect("opens");
        keyspace.rotate_memtable_and_wait().expect("flushes");
    }
}

/// What a reader sees: how far the store is, and whether all that it says is what was written.
async fn read(engine: &Engine) -> Result<u64, String> {
    let named = |error: ringside_ports::EngineError| error.to_string();
    let log = engine.log();
    let end = log.bounds(Topic::MessagesSend, PARTITION).await.map_err(named)?.end;
    if end != Offset(MESSAGES) {
        return Err(format!("{WRONG} the log ends at {end}"));
    }
    let records = read_from(&log, Topic::MessagesSend, PARTITION, 0).await;
    for (record, number) in records.iter().zip(1..) {
        if record.payload != format!("record {number}") {
            return Err(format!("{WRONG} record {number} is {:?}", record.payload));
        }
    }
    let store = engine.store();
    let progress = store.partition(PARTITION).await.map_err(named)?.progress;
    let Some(progress) = progress else { return Err(format!("{WRONG} no progress")) };
    let wanted = Prefetch { channels: vec![CHANNEL], ..Prefetch::default() };
    let heads = store.load(&wanted).await.map_err(named)?.heads;
    let head = heads.first().map_or(0, |head| head.last_seq);
    let range = MessageRange {
        channel_id: CHANNEL,
        after: MessageId::ZERO,
        before: MessageId::MAX,
        limit: usize::MAX,
        order: Order::OldestFirst,
    };
    let rows = store.messages(&[range]).await.map_err(named)?.remove(0);
    let expected: Vec<MessageRow> =
        (1..=progress.offset.0).flat_map(|number| batch(number).rows.messages).collect();
    let stored = log.bounds(Topic::MessagesStored, PARTITION).await.map_err(named)?.end.0;
    if rows != expected || head != progress.offset.0 || stored != head {
        return Err(format!(
            "{WRONG} {} rows, head {head}, {stored} stored, progress {}",
            rows.len(),
            progress.offset
        ));
    }
    Ok(head)
}

fn files(folder: &Path) -> Vec<PathBuf> {
    let mut files = Vec::new();
    for entry in fs::read_dir(folder).expect("reads") {
        let path = entry.expect("reads").path();
        if path.is_dir() { files.extend(self::files(&path)) } else { files.push(path) }
    }
    files.sort();
    files
}

fn copy(from: &Path, to: &Path) {
    for file in files(from) {
        let target = to.join(file.strip_prefix(from).expect("below"));
        fs::create_dir_all(target.parent().expect("a folder")).expect("makes");
        fs::copy(&file, &target).expect("copies");
    }
}

/// Where bytes are flipped: everywhere in a small file, else at places spread over what is not zero.
fn places(bytes: &[u8]) -> Vec<usize> {
    let written: Vec<usize> = (0..bytes.len()).filter(|at| bytes[*at] != 0).collect();
    let step = written.len().div_ceil(PLACES).max(1);
    written.into_iter().step_by(step).collect()
}

/// Not a test by itself: the process that [`a_changed_byte_is_named_or_of_no_effect`] has read a folder. It may be ended by
/// the database, which does not expect every damage.
#[test]
fn reader() {
    let Some(folder) = std::env::var_os(FOLDER) else { return };
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().expect("a runtime");
    let engine = Engine::open(Path::new(&folder), config()).map_err(|error| error.to_string());
    let seen = engine.and_then(|engine| runtime.block_on(read(&engine)));
    println!("{SEEN}{}", seen.map_or_else(|error| error, |applied| applied.to_string()));
}

/// What another process says of a folder; `None`: it was ended by a panic.
fn seen(folder: &Path) -> Option<String> {
    let own = std::env::current_exe().expect("this program");
    let output = Command::new(own)
        .args(["--exact", "reader", "--nocapture"])
        .env(FOLDER, folder)
        .env("RUST_BACKTRACE", "0")
        .output()
        .expect("starts");
    let text = String::from_utf8_lossy(&output.stdout).into_owned();
    let panics = String::from_utf8_lossy(&output.stderr).contains("panicked at");
    let seen = text.lines().find_map(|line| line.split_once(SEEN)).map(|(_, seen)| seen.to_owned());
    assert!(seen.is_some() || panics, "it says something:\n{text}");
    seen
}

#[test]
fn a_changed_byte_is_named_or_of_no_effect() {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().expect("a runtime");
    let whole = tempfile::tempdir().expect("a temporary folder");
    filled(&runtime, whole.path());
    let (mut named, mut ended, mut replayed, mut same) = (0, 0, 0, 0);
    for file in files(whole.path()) {
        let name = file.strip_prefix(whole.path()).expect("below").to_owned();
        let bytes = fs::read(&file).expect("reads");
        for place in places(&bytes) {
            let damaged = tempfile::tempdir().expect("a temporary folder");
            copy(whole.path(), damaged.path());
            let mut bytes = bytes.clone();
            bytes[place] ^= 1 << (place % 8);
            fs::write(damaged.path().join(&name), bytes).expect("writes");
            let seen = seen(damaged.path());
            match seen.as_deref().map(|seen| (seen, seen.parse())) {
                None => ended += 1,
                Some((_, Ok(MESSAGES))) => same += 1,
                Some((_, Ok(_))) => replayed += 1,
                Some((text, _)) => {
                    assert!(!text.starts_with(WRONG), "{} at {place}: {text}", name.display());
                    named += 1;
                }
            }
        }
    }
    println!(
        "named {named}, the database's own panic {ended}, replayed from the log {replayed}, no effect {same}"
    );
    assert!(named > ended, "most of what is damaged is named");
}
