//! The data folder, in which the embedded engines live.

use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use ringside_embedded::{Engine, HeldFolder, OpenError};
use ringside_sql::Directory;
use ringside_types::HistogramSnapshot;

use super::Figure;
use crate::commands::Failure;
use crate::config::{Config, DirectoryKind, StoreKind};
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
    /// Log, store and committer, where they are embedded.
    pub(super) engine: Option<Engine>,
    /// The Directory, where it is embedded.
    pub(super) directory: Option<Directory>,
    /// The folder's lock, where no embedded engine holds it.
    _held: Option<Arc<HeldFolder>>,
}

impl DataDirectory {
    /// Opens what of the engines is embedded; says what of it has been made.
    pub(super) async fn open(config: &Config) -> Result<(Self, Vec<Step>), Failure> {
        let path = &config.data_dir;
        let mut steps = Vec::new();
        let (engine, held) = match config.engines.store {
            StoreKind::Embedded => (Some(open_engine(path, &mut steps)?), None),
            StoreKind::Cassandra => (None, Some(Arc::new(HeldFolder::open(path)?))),
        };
        let directory = match config.engines.directory {
            DirectoryKind::Embedded => {
                let file = path.join(DIRECTORY_FILE);
                steps.push(Step { what: "the Directory's tables".to_owned(), is_new: !file.is_file() });
                Some(Directory::open(&file).await?)
            }
            DirectoryKind::Postgres => None,
        };
        Ok((Self { path: path.clone(), engine, directory, _held: held }, steps))
    }

    /// Where the signing keys are.
    pub(super) fn keys(&self) -> PathBuf {
        self.path.join(KEYS_FOLDER)
    }

    /// Waits until a write has failed; says why.
    pub(super) async fn failed(&self) -> Failure {
        match &self.engine {
            Some(engine) => EngineFailure(engine.failed().await).into(),
            None => std::future::pending().await,
        }
    }

    /// How long it took to make a group of records durable, and how long commits to the store took.
    pub(super) fn durations(&self) -> Option<(HistogramSnapshot, HistogramSnapshot)> {
        let counters = self.engine.as_ref()?.counters();
        Some((counters.write_seconds.snapshot(), counters.commit_seconds.snapshot()))
    }

    pub(super) fn figures(&self) -> Vec<Figure> {
        let Some(engine) = &self.engine else { return Vec::new() };
        let counters = engine.counters();
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

fn open_engine(path: &Path, steps: &mut Vec<Step>) -> Result<Engine, Failure> {
    // A start that was cut short goes on with what it has made.
    let is_new = !path.join("VERSION").is_file();
    let engine = Engine::open(path, ringside_embedded::Config::default())?;
    let counts = engine.partitions();
    let what = format!(
        "the log and the store in {}: {} partitions of messages, {} slots for edges",
        path.display(),
        counts.messages,
        counts.slots
    );
    steps.push(Step { what, is_new });
    Ok(engine)
}

/// Whether the engines can't be opened because another process has them.
pub(crate) fn is_locked(error: &Failure) -> bool {
    matches!(error.downcast_ref(), Some(OpenError::Locked(_)))
}
