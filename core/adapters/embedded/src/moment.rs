//! Log and store as they were at one moment, for a backup: read from a snapshot while the writer goes on.
//!
//! A batch of the writer is in the snapshot as a whole or not at all, and whatever was answered before is in it. The copy
//! is written as a database of its own, so it depends on no file of the one that is open.

use std::path::Path;
use std::sync::Arc;

use fjall::{Keyspace, PersistMode, Readable as _, Snapshot};

use crate::engine::{Core, Engine};
use crate::folder::{Folder, OpenError};
use crate::tables::{Tables, reason};

/// Rows of one batch of the copy at the most.
const BATCH_ROWS: usize = 4_096;
/// A batch of the copy is closed once it holds this many bytes.
const BATCH_BYTES: usize = 4 * 1024 * 1024;
/// The copy is written once and hardly read.
const CACHE_BYTES: u64 = 8 * 1024 * 1024;

/// One moment. While it lives, the rows of that time are kept.
pub struct Moment {
    core: Arc<Core>,
    snapshot: Snapshot,
}

impl Engine {
    /// Now: everything that was answered is in it.
    pub fn moment(&self) -> Moment {
        let core = Arc::clone(self.core());
        Moment { snapshot: core.tables.database.snapshot(), core }
    }
}

impl Moment {
    /// Writes a data folder of its own, on the disk when this returns. It takes as long as reading all rows does.
    ///
    /// # Errors
    /// The folder can't be written, or a row can't be read. Then the folder is no use.
    pub fn write_to(&self, path: &Path) -> Result<(), OpenError> {
        let Core { tables, partitions, config, .. } = &*self.core;
        let mut folder = Folder::open(path, *partitions, config.free_bytes_min)?;
        let failed =
            |error: fjall::Error| OpenError::Damaged { folder: path.to_owned(), cause: reason(&error) };
        let copy = Tables::open(&folder.store(), CACHE_BYTES, &config.clock).map_err(failed)?;
        for (from, to) in tables.all().into_iter().zip(copy.all()) {
            self.copy(from, &copy, to).map_err(failed)?;
        }
        copy.database.persist(PersistMode::SyncAll).map_err(failed)?;
        folder.made()
    }

    fn copy(&self, from: &Keyspace, copy: &Tables, to: &Keyspace) -> fjall::Result<()> {
        let (mut batch, mut rows, mut bytes) = (copy.database.batch(), 0, 0);
        for pair in self.snapshot.iter(from) {
            let (key, value) = pair.into_inner()?;
            rows += 1;
            bytes += key.len() + value.len();
            batch.insert(to, key, value);
            if rows >= BATCH_ROWS || bytes >= BATCH_BYTES {
                std::mem::replace(&mut batch, copy.database.batch()).commit()?;
                (rows, bytes) = (0, 0);
            }
        }
        batch.commit()
    }
}

impl std::fmt::Debug for Moment {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Moment").finish_non_exhaustive()
    }
}
