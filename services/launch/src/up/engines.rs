//! The data folder and the engines in it.

use std::path::{Path, PathBuf};

use ringside_clock::now;
use ringside_embedded::{EmbeddedLog, Engine, KeyFiles, MemoryPresence};
use ringside_sql::Directory;
use ringside_user::KeyRotation;
use tokio::runtime::Runtime;

use crate::commands::Failure;

/// The Directory, in the data folder.
pub(crate) const DIRECTORY_FILE: &str = "directory.sqlite";
/// The signing keys, in the data folder.
pub(crate) const KEYS_FOLDER: &str = "keys";

/// An embedded engine that writes no more.
#[derive(Debug, thiserror::Error)]
#[error(
    "the data folder can't be written any more: {0}. Nothing acknowledged is lost. Mend the disk, then start Ringside again"
)]
pub(super) struct EngineFailure(pub(super) String);

/// Everything that lives in one data folder, and what lives in memory beside it.
#[derive(Debug)]
pub(crate) struct DataFolder {
    path: PathBuf,
    /// Log, store and committer.
    pub(crate) engine: Engine,
    /// Accounts and channels.
    pub(crate) directory: Directory,
    /// Connections and limits.
    pub(crate) presence: MemoryPresence,
    /// The keys that sign access tokens.
    pub(crate) keys: KeyRotation<KeyFiles, EmbeddedLog>,
}

impl DataFolder {
    /// Opens the folder, or makes it. Holds its lock while this lives.
    ///
    /// # Errors
    /// The sentence that says what to do.
    pub(crate) fn open(runtime: &Runtime, path: &Path) -> Result<Self, Failure> {
        let engine = Engine::open(path, ringside_embedded::Config::default())?;
        let directory = runtime.block_on(Directory::open(&path.join(DIRECTORY_FILE)))?;
        let files = KeyFiles::new(path.join(KEYS_FOLDER));
        let keys = runtime.block_on(KeyRotation::open(files, engine.log(), now()))?;
        let presence = MemoryPresence::new();
        Ok(Self { path: path.to_owned(), engine, directory, presence, keys })
    }

    /// Where it is.
    pub(crate) fn path(&self) -> &Path {
        &self.path
    }

    /// Waits until a write has failed; says why.
    pub(super) async fn failed(&self) -> String {
        self.engine.failed().await
    }
}
