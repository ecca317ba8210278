//! A journal that ends in the middle of a batch, as a crash of the machine leaves it.

mod support;

use std::fs::{self, File, OpenOptions};
use std::os::unix::fs::FileExt as _;
use std::path::{Path, PathBuf};

use ringside_embedded::{Engine, OpenError};
use ringside_ports::Log;
use ringside_types::{PartitionId, Topic};
use support::{config, read_from, record};

const BATCHES: usize = 5;
const PAYLOAD_BYTES: usize = 20_000;

fn journal(folder: &Path) -> PathBuf {
    let files = fs::read_dir(folder.join("store")).expect("reads").map(|entry| entry.expect("reads").path());
    files.filter(|path| path.extension().is_some_and(|name| name == "jnl")).max().expect("a journal")
}

/// Bytes up to the last that is not zero: the journal's file is longer, for its room is reserved.
fn written(journal: &Path) -> u64 {
    let mut bytes = vec![0; 2 * (BATCHES + 1) * PAYLOAD_BYTES];
    File::open(journal).and_then(|file| file.read_exact_at(&mut bytes, 0)).expect("reads");
    bytes.iter().rposition(|byte| *byte != 0).map_or(0, |last| last as u64 + 1)
}

/// A folder as it was after `BATCHES` answered appends and one more, and where in the journal the one more begins and
/// ends. What dies with the process is not missed: the journal alone is read back.
async fn with_an_unanswered_batch() -> (tempfile::TempDir, PathBuf, std::ops::Range<u64>) {
    let folder = tempfile::tempdir().expect("a temporary folder");
    let engine = Engine::open(folder.path(), config()).expect("opens");
    let log = engine.log();
    for number in 0..BATCHES {
        log.append(vec![record(0, vec![1 + number as u8; PAYLOAD_BYTES])]).await.expect("appends");
    }
    let journal = journal(folder.path());
    let begin = written(&journal);
    log.append(vec![record(0, vec![99; PAYLOAD_BYTES]), record(1, "beside")]).await.expect("appends");
    let end = written(&journal);
    drop((log, engine));
    (folder, journal, begin..end)
}

async fn recovers(folder: &Path) {
    let engine = Engine::open(folder, config()).expect("recovers");
    let log = engine.log();
    let records = read_from(&log, Topic::MessagesSend, PartitionId(0), 0).await;
    assert_eq!(records.len(), BATCHES, "the answered batches, and no part of the other");
    assert_eq!(read_from(&log, Topic::MessagesSend, PartitionId(1), 0).await, [], "no part of the other");
    let position = log.append(vec![record(0, "next")]).await.expect("appends")[0];
    assert_eq!(position.offset.0, BATCHES as u64);
    drop((log, engine));
    let engine = Engine::open(folder, config()).expect("opens");
    let records = read_from(&engine.log(), Topic::MessagesSend, PartitionId(0), 0).await;
    assert_eq!(records.len(), BATCHES + 1, "what was written after the recovery is read after the next");
}

#[tokio::test]
async fn a_batch_that_is_cut_off_is_dropped_whole() {
    for part in [0.0, 0.1, 0.5, 0.9, 0.999] {
        for zeros_follow in [false, true] {
            let (folder, journal, torn) = with_an_unanswered_batch().await;
            let cut = torn.start + ((torn.end - torn.start) as f64 * part) as u64;
            let file = OpenOptions::new().write(true).open(&journal).expect("opens");
            let length = file.metadata().expect("reads").len();
            file.set_len(cut).expect("cuts");
            if zeros_follow {
                file.set_len(length).expect("the room stays reserved");
            }
            recovers(folder.path()).await;
        }
    }
}

#[tokio::test]
async fn a_batch_whose_beginning_never_arrived_is_dropped_whole() {
    let (folder, journal, torn) = with_an_unanswered_batch().await;
    zero(&journal, torn.start..torn.start + 200);
    recovers(folder.path()).await;
}

/// The known limit: the whole batch is there by length and a page in the middle of a value is not. The database refuses
/// rather than guess, and the sentence says what to do.
#[tokio::test]
async fn a_batch_with_a_hole_is_refused_with_a_sentence() {
    let (folder, journal, torn) = with_an_unanswered_batch().await;
    zero(&journal, torn.start + 8_192..torn.start + 12_288);
    let error = Engine::open(folder.path(), config()).expect_err("refused");
    assert!(matches!(error, OpenError::Damaged { .. }), "{error:?}");
    assert!(error.to_string().contains("Checksum"), "{error}");
}

fn zero(journal: &Path, range: std::ops::Range<u64>) {
    let file: File = OpenOptions::new().write(true).open(journal).expect("opens");
    file.write_all_at(&vec![0; (range.end - range.start) as usize], range.start).expect("writes");
}
