//! What the embedded engines hold, as of one moment, for a backup.

use std::fs::{self, DirBuilder};
use std::io;
use std::os::unix::fs::DirBuilderExt as _;
use std::path::{Path, PathBuf};

use ringside_embedded::{Engine, Moment};

use super::embedded::{DIRECTORY_FILE, DataDirectory, KEYS_FOLDER};
use super::{CommitterEngine, LogEngine, StoreEngine};

/// The lock is the folder's, not its contents'.
const LOCK_FILE: &str = "lock";

/// One moment. While it lives, the rows of that time are kept.
pub(crate) struct Snapshot {
    moment: Moment,
    /// The copy of the Directory.
    directory: PathBuf,
    /// Where the keys are.
    keys: PathBuf,
}

impl Snapshot {
    /// While the Directory is held, its file is copied and the log's moment is taken: both are of one moment.
    pub(super) async fn take(data: &DataDirectory, beside: &Path) -> Result<Self, String> {
        let (Some(engine), Some(directory)) = (&data.engine, &data.directory) else {
            return Err("what `engines` of the configuration names is in engines of a cluster; back those up by their own \
                        means"
                .into());
        };
        let copied = beside.join(DIRECTORY_FILE);
        let taken = directory.copy_to(&copied, || engine.moment()).await;
        let moment = taken.map_err(|error| error.to_string())?;
        Ok(Self { moment, directory: copied, keys: data.keys() })
    }

    /// Writes log and store into a folder that is not there yet, and opens them there.
    ///
    /// # Errors
    /// In the engine's words.
    pub(crate) fn write_store(
        &self,
        data: &Path,
    ) -> Result<(LogEngine, StoreEngine, CommitterEngine), String> {
        self.moment.write_to(data).map_err(|error| error.to_string())?;
        let opened = Engine::open(data, ringside_embedded::Config::default());
        let engine = opened.map_err(|error| error.to_string())?;
        Ok((
            LogEngine::Embedded(engine.log()),
            StoreEngine::Embedded(engine.store()),
            CommitterEngine::Embedded(engine.committer()),
        ))
    }

    /// Puts the Directory and the keys beside the store, which must be closed.
    ///
    /// # Errors
    /// A file can't be read or written.
    pub(crate) fn write_rest(&self, data: &Path) -> io::Result<()> {
        fs::rename(&self.directory, data.join(DIRECTORY_FILE))?;
        fs::remove_file(data.join(LOCK_FILE))?;
        let keys = data.join(KEYS_FOLDER);
        DirBuilder::new().mode(0o700).create(&keys)?;
        for entry in fs::read_dir(&self.keys)? {
            let key = entry?;
            if key.path().extension().is_some_and(|extension| extension == "pem") {
                fs::copy(key.path(), keys.join(key.file_name()))?;
            }
        }
        Ok(())
    }
}
