//! The data folder, in which the embedded engines live.

use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicU64, Ordering};

use ringside_embedded::{Engine, OpenError};
use ringside_sql::Directory;

use super::Figure;
use crate::commands::Failure;
use crate::init::Step;

/// The Directory, in the data folder.
pub(super) const DIRECTORY_FILE: &str = "directory.sqlite";
/// The signing keys, in the data folder.
pub(super) const KEYS_FOLDER: &str = "keys";

/// An embedded engine that writes no more.
#[derive(Debug, thiserror::Error)]
#[error(
    "the data folder can't be written any more: {0}. Nothing acknowledged is lost. Mend the disk, then start Ringside again"
)]
struct EngineFailure(String);

/// What lives in one data folder, which one process holds.
#[derive(Clone, Debug)]
pub(super) struct DataDirectory {
    path: PathBuf,
    /// Log, store and committer.
    pub(super) engine: Engine,
    pub(super) directory: Directory,
}

impl DataDirectory {
    /// Opens it; says what of it has been made.
    pub(super) async fn open(path: &Path) -> Result<(Self, Vec<Step>), Failure> {
        let directory_file = path.join(DIRECTORY_FILE);
        // A start that was cut short goes on with what it has made.
        let (is_new, is_directory_new) = (!path.join("VERSION").is_file(), !directory_file.is_file());
        let engine = Engine::open(path, ringside_embedded::Config::default())?;
        let directory = Directory::open(&directory_file).await?;
        let counts = engine.partitions();
        let what = format!(
            "the log and the store in {}: {} partitions of messages, {} slots for edges",
            path.display(),
            counts.messages,
            counts.slots
        );
        let tables = "the Directory's tables".to_owned();
        let steps = vec![Step { what, is_new }, Step { what: tables, is_new: is_directory_new }];
        Ok((Self { path: path.to_owned(), engine, directory }, steps))
    }

    /// Where the signing keys are.
    pub(super) fn keys(&self) -> PathBuf {
        self.path.join(KEYS_FOLDER)
    }

    /// Waits until a write has failed; says why.
    pub(super) async fn failed(&self) -> Failure {
        EngineFailure(self.engine.failed().await).into()
    }

    pub(super) fn figures(&self) -> Vec<Figure> {
        let counters = self.engine.counters();
        let read = |value: &AtomicU64| value.load(Ordering::Relaxed);
        vec![
            ("batches", "Groups of records written.", read(&counters.batches)),
            ("requests", "Requests in those groups.", read(&counters.requests)),
            ("commits", "Batches that the store took.", read(&counters.commits)),
            ("records", "Records appended to the log.", read(&counters.records)),
            ("record_bytes", "Bytes of those records.", read(&counters.record_bytes)),
            ("rows", "Rows written.", read(&counters.rows)),
            ("trimmed", "Records removed from the log for their age.", read(&counters.trimmed)),
            ("tail_reads", "Reads of the log that memory answered.", read(&counters.tail_reads)),
            ("cold_reads", "Reads of the log that went to the disk.", read(&counters.cold_reads)),
        ]
    }
}

/// Whether the engines can't be opened because another process has them.
pub(crate) fn is_locked(error: &Failure) -> bool {
    matches!(error.downcast_ref(), Some(OpenError::Locked(_)))
}
