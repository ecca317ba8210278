//! The engines behind every port. Which there are is chosen here; above, nobody can tell one from another.
//!
//! A port has an enum, with a variant for each engine that there is. It implements the port by its variants.

#[cfg(feature = "cluster")]
mod cluster;
#[cfg(not(feature = "cluster"))]
#[path = "engines/without_cluster.rs"]
mod cluster;
#[macro_use]
mod delegation;
mod directory;
mod embedded;
mod keys;
mod log;
mod presence;
mod sharing;
mod snapshot;
mod store;

use std::path::Path;

use ringside_embedded::{KeyFiles, MemoryPresence};
use ringside_types::HistogramSnapshot;

use crate::commands::Failure;
use crate::config::{Config, PresenceKind};
use crate::init::Step;
pub(crate) use cluster::{findings, make, plan};
pub(crate) use directory::DirectoryEngine;
use embedded::DataDirectory;
pub(crate) use embedded::is_locked;
pub(crate) use keys::KeyStoreEngine;
pub(crate) use log::LogEngine;
use presence::PresenceChoice;
pub(crate) use presence::PresenceEngine;
pub(crate) use sharing::{Port, refuse_to_share};
pub(crate) use snapshot::Snapshot;
pub(crate) use store::{CommitterEngine, StoreEngine};

/// All of them. A clone is another handle.
#[derive(Clone, Debug)]
pub(crate) struct Engines {
    pub(crate) log: LogEngine,
    pub(crate) store: StoreEngine,
    pub(crate) committer: CommitterEngine,
    pub(crate) directory: DirectoryEngine,
    pub(crate) presence: PresenceEngine,
    pub(crate) keys: KeyStoreEngine,
    data: DataDirectory,
}

pub(crate) type Figure = (&'static str, &'static str, u64);

impl Engines {
    /// Opens the engines that are configured, and makes what of the embedded ones is not there: the folder, the log's
    /// topics, the tables. Holds the folder's lock while one of them lives. What a cluster shares is made by
    /// [`make`] alone. Says what it has made.
    ///
    /// # Errors
    /// The sentence that says what to do.
    pub(crate) async fn open(config: &Config) -> Result<(Self, Vec<Step>), Failure> {
        let (data, made) = DataDirectory::open(config).await?;
        let (log, store, committer) = match &data.engine {
            Some(engine) => (
                LogEngine::Embedded(engine.log()),
                StoreEngine::Embedded(engine.store()),
                CommitterEngine::Embedded(engine.committer()),
            ),
            None => cluster::pipeline(config).await?,
        };
        let (directory, keys) = match &data.directory {
            Some(directory) => (
                DirectoryEngine::Embedded(directory.clone()),
                KeyStoreEngine::Embedded(KeyFiles::new(data.keys())),
            ),
            None => cluster::directory(config).await?,
        };
        let presence = match config.engines.presence {
            PresenceKind::Embedded => PresenceEngine::new(PresenceChoice::Embedded(MemoryPresence::new())),
            PresenceKind::Redis => cluster::presence(config)?,
        };
        let engines = Self { log, store, committer, directory, presence, keys, data };
        Ok((engines, made))
    }

    /// Waits until one of them can go on no more; says why.
    pub(crate) async fn failed(&self) -> Failure {
        self.data.failed().await
    }

    /// Closes what would otherwise leave work for the next start.
    pub(crate) async fn close(&self) {
        self.directory.close().await;
    }

    /// What they have done, for metrics.
    pub(crate) fn figures(&self) -> Vec<Figure> {
        let mut figures = self.data.figures();
        figures.extend(presence::open_figures(&self.presence));
        figures
    }

    /// How long it took to make a group of records durable, and how long commits to the store took, where they are embedded.
    pub(crate) fn durations(&self) -> Option<(HistogramSnapshot, HistogramSnapshot)> {
        self.data.durations()
    }

    /// Takes all that they hold, as of one moment; a part of it is written beside the copy that is to be made.
    ///
    /// # Errors
    /// In the engine's words.
    pub(crate) async fn snapshot(&self, beside: &Path) -> Result<Snapshot, String> {
        Snapshot::take(&self.data, beside).await
    }
}
