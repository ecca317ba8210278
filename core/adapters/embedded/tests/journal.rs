//! The store's journal after a power loss: its last batches are cut off, or have holes. They are dropped whole, and the log
//! has what they were made of.

mod support;

use std::fs::{self, File, OpenOptions};
use std::io::Read as _;
use std::os::unix::fs::FileExt as _;
use std::path::{Path, PathBuf};

use ringside_domain::rows::{HeadRow, Prefetch, Progress, Rows, WriteTimestamp};
use ringside_embedded::{Engine, OpenError};
use ringside_ports::commit::CommitBatch;
use ringside_ports::{ChannelReader as _, Committer as _, Log as _, PartitionStore as _};
use ringside_types::{ChannelId, MessageId, Offset, PartitionId};
use support::{config, record};
use uuid::Uuid;

const BATCHES: u64 = 5;
/// Heads of one batch: it is some pages of the journal.
const CHANNELS: u128 = 200;
const PARTITION: PartitionId = PartitionId(0);

fn journal(folder: &Path) -> PathBuf {
    let files = fs::read_dir(folder.join("store")).expect("reads").map(|entry| entry.expect("reads").path());
    files.filter(|path| path.extension().is_some_and(|name| name == "jnl")).max().expect("a journal")
}

/// Bytes up to the last that is not zero: the journal's file is longer, for its room is reserved.
fn written(journal: &Path) -> u64 {
    let mut bytes = Vec::new();
    File::open(journal).and_then(|file| file.take(1 << 20).read_to_end(&mut bytes)).expect("reads");
    bytes.iter().rposition(|byte| *byte != 0).map_or(0, |last| last as u64 + 1)
}

fn batch(number: u64) -> CommitBatch {
    let stamp = WriteTimestamp(number);
    let head =
        |channel| HeadRow { last_seq: number, stamp, ..HeadRow::empty(ChannelId(Uuid::from_u128(channel))) };
    CommitBatch {
        partition: PARTITION,
        rows: Rows::default(),
        outside: Vec::new(),
        heads: (0..CHANNELS).map(head).collect(),
        edges: Vec::new(),
        progress: Progress { partition: PARTITION, offset: Offset(number), last: MessageId(number), stamp },
    }
}

/// A folder with `BATCHES` commits and one more, and where in the journal the one more begins and ends.
async fn with_a_last_batch() -> (tempfile::TempDir, PathBuf, std::ops::Range<u64>) {
    let folder = tempfile::tempdir().expect("a temporary folder");
    let mut ends = Vec::new();
    for numbers in [1..=BATCHES, BATCHES + 1..=BATCHES + 1] {
        let engine = Engine::open(folder.path(), config()).expect("opens");
        for number in numbers {
            engine.log().append(vec![record(0, "command")]).await.expect("appends");
            engine.committer().commit(batch(number)).await.expect("commits");
        }
        drop(engine);
        ends.push(written(&journal(folder.path())));
    }
    let journal = journal(folder.path());
    (folder, journal, ends[0]..ends[1])
}

async fn drops_the_last_batch(folder: &Path) {
    for _ in 0..2 {
        let engine = Engine::open(folder, config()).expect("recovers");
        let progress =
            engine.store().partition(PARTITION).await.expect("reads").progress.expect("there is one");
        assert_eq!(progress.offset, Offset(BATCHES), "the batches before it");
        let channels = (0..CHANNELS).map(|channel| ChannelId(Uuid::from_u128(channel))).collect();
        let wanted = Prefetch { channels, ..Prefetch::default() };
        let heads = engine.store().load(&wanted).await.expect("loads").heads;
        assert!(heads.iter().all(|head| head.last_seq == BATCHES), "no part of it");
    }
    let engine = Engine::open(folder, config()).expect("opens");
    engine.committer().commit(batch(BATCHES + 1)).await.expect("replays");
    drop(engine);
    let engine = Engine::open(folder, config()).expect("opens");
    let progress = engine.store().partition(PARTITION).await.expect("reads").progress;
    assert_eq!(
        progress.map(|progress| progress.offset),
        Some(Offset(BATCHES + 1)),
        "what was replayed is kept"
    );
}

#[tokio::test]
async fn a_batch_that_is_cut_off_is_dropped_whole() {
    for part in [0.0, 0.1, 0.5, 0.9, 0.999] {
        for zeros_follow in [false, true] {
            let (folder, journal, torn) = with_a_last_batch().await;
            let cut = torn.start + ((torn.end - torn.start) as f64 * part) as u64;
            let file = OpenOptions::new().write(true).open(&journal).expect("opens");
            let length = file.metadata().expect("reads").len();
            file.set_len(cut).expect("cuts");
            if zeros_follow {
                file.set_len(length).expect("the room stays reserved");
            }
            drops_the_last_batch(folder.path()).await;
        }
    }
}

#[tokio::test]
async fn a_batch_with_a_hole_anywhere_is_dropped_whole() {
    let (_folder, _, torn) = with_a_last_batch().await;
    for at in (torn.start..torn.end - 512).step_by(1_500) {
        let (folder, journal, torn) = with_a_last_batch().await;
        assert!(torn.contains(&at));
        let file: File = OpenOptions::new().write(true).open(&journal).expect("opens");
        file.write_all_at(&[0; 512], at).expect("writes");
        drop(file);
        drops_the_last_batch(folder.path()).await;
    }
}

/// Where the log does not have what the store has applied, or no longer has what it has not, nothing is guessed.
#[tokio::test]
async fn a_log_that_does_not_fit_the_store_is_refused() {
    let (folder, ..) = with_a_last_batch().await;
    let log = folder.path().join("log");
    fs::remove_dir_all(&log).expect("removes");
    let error = Engine::open(folder.path(), config()).expect_err("refused");
    assert!(error.to_string().contains("its folder log is missing"), "{error}");
    let other = tempfile::tempdir().expect("a temporary folder");
    drop(Engine::open(other.path(), config()).expect("opens"));
    fs::rename(other.path().join("log"), &log).expect("moves");
    let error = Engine::open(folder.path(), config()).expect_err("refused");
    assert!(matches!(error, OpenError::Damaged { .. }), "{error:?}");
    assert!(error.to_string().contains("has applied partition 0 of messages.send up to 6"), "{error}");
}
