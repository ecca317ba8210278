//! Log and store as they were at one moment, for a backup: read from a snapshot while the writer goes on.
//!
//! A batch of the store is in the snapshot as a whole or not at all; the log reaches from what it has applied to everything
//! that was answered before. The copy is written as a folder of its own, so it depends on no file of the one that is open.

use std::path::Path;
use std::sync::Arc;

use fjall::{Keyspace, PersistMode, Readable as _, Snapshot};
use ringside_segments::{End, FolderFile, LogError, Reader, Stream};
use ringside_types::{Offset, UnixMillis};

use crate::engine::{Core, Engine};
use crate::folder::{Folder, OpenError, refused};
use crate::log::PartitionLog;
use crate::opening;
use crate::tables::{Tables, reason};

/// Rows of one batch of the copy at the most.
const BATCH_ROWS: usize = 4_096;
/// A batch of the copy is closed once it holds this many bytes.
const BATCH_BYTES: usize = 4 * 1024 * 1024;
/// The copy is written once and hardly read.
const CACHE_BYTES: u64 = 8 * 1024 * 1024;

/// Records of the log that are copied at once, and bytes of them.
const COPY: (usize, usize) = (4_096, 4 * 1024 * 1024);

/// One moment. While it lives, the rows and records of that time are kept.
pub struct Moment {
    core: Arc<Core>,
    snapshot: Snapshot,
    segments: Reader<FolderFile>,
    /// Where the streams in the segments begin and end.
    streams: Vec<(Stream, Offset, End)>,
}

impl Engine {
    /// Now: everything that was answered is in it.
    pub fn moment(&self) -> Moment {
        let core = Arc::clone(self.core());
        // The store first: what it has applied must be in the log.
        let snapshot = core.tables.database.snapshot();
        let end = |log: &PartitionLog| {
            let (topic, partition) = log.place();
            (Stream { topic, partition }, End { next: log.end(), time: log.last_time() })
        };
        let ends: Vec<_> = core.logs().filter(|log| log.is_in_segments()).map(end).collect();
        // Then the segments: they hold what is below the ends.
        let segments = core.segments.held();
        let streams = ends.into_iter().map(|(stream, end)| (stream, segments.start(stream), end)).collect();
        Moment { snapshot, segments, streams, core }
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
        self.copy_log(&folder).map_err(|error| match error {
            CopyError::Open(error) => error,
            CopyError::Log(LogError::Refused(cause) | LogError::Failed(cause)) => refused(path, cause),
            CopyError::Log(other) => OpenError::Damaged { folder: path.to_owned(), cause: other.to_string() },
            CopyError::Hole(stream, offset) => {
                let cause = format!("offset {offset} of {stream} is missing");
                OpenError::Damaged { folder: path.to_owned(), cause }
            }
        })?;
        folder.made()
    }

    fn copy_log(&self, folder: &Folder) -> Result<(), CopyError> {
        let config = &self.core.config;
        let begin = |(stream, start, end): &(Stream, Offset, End)| {
            let time = if *start == end.next { end.time } else { UnixMillis(0) };
            (*stream, End { next: *start, time })
        };
        let base: Vec<(Stream, End)> = self.streams.iter().map(begin).collect();
        let mut writer = opening::open_log(folder, config, &base).map_err(CopyError::Open)?;
        for (stream, start, end) in &self.streams {
            let mut next = *start;
            while next < end.next {
                let records = self.segments.read(*stream, next, end.next, COPY).map_err(CopyError::Log)?;
                if records.is_empty() {
                    return Err(CopyError::Hole(*stream, next));
                }
                for record in records {
                    let (offset, _) = writer.stage(*stream, record.time, &record.payload);
                    if offset != record.offset {
                        return Err(CopyError::Hole(*stream, offset));
                    }
                    next = offset.next();
                }
                writer.sync(config.clock.now()).map_err(CopyError::Log)?;
            }
        }
        Ok(())
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

/// Why the log could not be copied.
enum CopyError {
    Open(OpenError),
    Log(LogError),
    /// This offset is missing.
    Hole(Stream, Offset),
}

impl std::fmt::Debug for Moment {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Moment").finish_non_exhaustive()
    }
}
