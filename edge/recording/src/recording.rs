//! A recording that is being made, and its tracks.

use std::fs::{self, DirBuilder, File, OpenOptions};
use std::io::{self, Write as _};
use std::os::unix::fs::{DirBuilderExt as _, OpenOptionsExt as _};
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, Instant};

use serde::Serialize;

use crate::error::RecordingError;
use crate::moment::Moment;

/// Recordings that are kept in one folder.
pub const KEPT: usize = 3;

/// A recording that is being made.
#[derive(Debug)]
pub struct Recording {
    folder: PathBuf,
    started: Instant,
    seed: u64,
    next: AtomicU64,
    bytes_left: AtomicU64,
    /// Inputs from this count on are not written any more.
    end: AtomicU64,
}

impl Recording {
    /// Begins a recording of so many bytes in a folder of its own within `parent`, named by the time and readable by its
    /// owner alone. Of earlier ones the last are kept.
    ///
    /// # Errors
    /// The folder can't be made, or an old one can't be removed.
    pub fn begin(parent: &Path, bytes_max: u64, seed: u64) -> Result<Arc<Self>, RecordingError> {
        let failed = |cause| RecordingError::Folder { folder: parent.into(), cause };
        DirBuilder::new().recursive(true).mode(0o700).create(parent).map_err(failed)?;
        let mut earlier = earlier(parent).map_err(failed)?;
        while earlier.len() >= KEPT {
            fs::remove_dir_all(parent.join(earlier.remove(0).to_string())).map_err(failed)?;
        }
        let name = ringside_clock::now().0.max(earlier.last().map_or(0, |last| last + 1));
        let folder = parent.join(name.to_string());
        DirBuilder::new().mode(0o700).create(&folder).map_err(failed)?;
        Ok(Arc::new(Self {
            folder,
            started: Instant::now(),
            seed,
            next: AtomicU64::new(0),
            bytes_left: AtomicU64::new(bytes_max),
            end: AtomicU64::new(u64::MAX),
        }))
    }

    /// The folder that is recorded to.
    pub fn folder(&self) -> &Path {
        &self.folder
    }

    /// What the machines seed their hashes with, so that maps have one order in the recording and in its replay.
    pub fn seed(&self) -> u64 {
        self.seed
    }

    /// Begins the track of one machine, in a file of this name.
    ///
    /// # Errors
    /// Its file can't be made.
    pub fn track(self: &Arc<Self>, name: &str) -> Result<Track, RecordingError> {
        let path = self.folder.join(format!("{name}.jsonl"));
        let made = OpenOptions::new().write(true).create_new(true).mode(0o600).open(&path);
        let file = made.map_err(|cause| RecordingError::File { file: path, cause })?;
        Ok(Track { recording: Arc::clone(self), file, waiting: Vec::new() })
    }

    /// Takes these bytes of those that are left; false: the recording is over from this count on.
    fn takes(&self, number: u64, bytes: u64) -> bool {
        if number >= self.end.load(Ordering::Acquire) {
            return false;
        }
        let took = |left: u64| left.checked_sub(bytes);
        if self.bytes_left.fetch_update(Ordering::AcqRel, Ordering::Acquire, took).is_ok() {
            return true;
        }
        if self.end.fetch_min(number, Ordering::AcqRel) == u64::MAX {
            tracing::warn!(folder = %self.folder.display(), "the recording has taken its bytes, and is over");
        }
        false
    }
}

/// The recordings in a folder, by their names, which are times: the oldest first.
fn earlier(parent: &Path) -> io::Result<Vec<u64>> {
    let mut found = Vec::new();
    for entry in fs::read_dir(parent)? {
        found.extend(entry?.file_name().to_str().and_then(|name| name.parse::<u64>().ok()));
    }
    found.sort_unstable();
    Ok(found)
}

/// What one machine took in.
#[derive(Debug)]
pub struct Track {
    recording: Arc<Recording>,
    file: File,
    waiting: Vec<u8>,
}

impl Track {
    /// The next input is taken now; `instant` is what its machine is told.
    pub fn moment(&self, instant: Instant) -> Moment {
        let nanos = |time: Duration| u64::try_from(time.as_nanos()).unwrap_or(u64::MAX);
        Moment {
            number: self.recording.next.fetch_add(1, Ordering::AcqRel),
            at_ns: nanos(instant.saturating_duration_since(self.recording.started)),
            wall_ms: ringside_clock::now().0,
            boot_ns: nanos(ringside_clock::boot_time().0),
        }
    }

    /// The next input is taken now, by a machine that has been told no instant yet.
    pub fn moment_now(&self) -> Moment {
        self.moment(Instant::now())
    }

    /// Writes an entry of that moment. It is in the file after [`flush`](Self::flush).
    pub fn write(&mut self, moment: Moment, entry: &impl Serialize) {
        let before = self.waiting.len();
        let written = serde_json::to_writer(&mut self.waiting, &(moment, entry));
        self.waiting.push(b'\n');
        let bytes = (self.waiting.len() - before) as u64;
        if written.is_err() || !self.recording.takes(moment.number, bytes) {
            self.waiting.truncate(before);
        }
    }

    /// Hands what was written to the system. Where that fails, the recording is over, and the machines go on.
    pub fn flush(&mut self) {
        if self.waiting.is_empty() {
            return;
        }
        if let Err(error) = self.file.write_all(&self.waiting) {
            self.recording.end.fetch_min(0, Ordering::AcqRel);
            tracing::warn!(%error, "the recording can't be written, and is over");
        }
        self.waiting.clear();
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::read;

    #[test]
    fn entries_are_read_as_they_were_written() {
        let parent = tempfile::tempdir().expect("a folder");
        let recording = Recording::begin(&parent.path().join("new"), 10_000, 7).expect("begins");
        let mut track = recording.track("a").expect("a file");
        let moments: Vec<Moment> = (0..3).map(|_| track.moment(Instant::now())).collect();
        for (number, moment) in moments.iter().enumerate() {
            track.write(*moment, &vec![number; 2]);
        }
        track.flush();
        let read: Vec<(Moment, Vec<usize>)> = read(recording.folder(), "a").expect("reads");
        assert_eq!(read, moments.into_iter().zip([vec![0; 2], vec![1; 2], vec![2; 2]]).collect::<Vec<_>>());
    }

    #[test]
    fn the_last_ones_are_kept() {
        let parent = tempfile::tempdir().expect("a folder");
        fs::write(parent.path().join("notes"), "").expect("writes");
        let begun: Vec<_> =
            (0..KEPT + 2).map(|_| Recording::begin(parent.path(), 1, 7).expect("begins")).collect();
        let kept = earlier(parent.path()).expect("lists");
        let folders: Vec<PathBuf> = kept.iter().map(|name| parent.path().join(name.to_string())).collect();
        assert_eq!(folders, begun[2..].iter().map(|one| one.folder().to_owned()).collect::<Vec<_>>());
        let file = parent.path().join("notes");
        assert!(matches!(Recording::begin(&file, 1, 7), Err(RecordingError::Folder { .. })));
    }

    #[test]
    fn it_is_over_for_all_tracks_at_the_same_count() {
        let parent = tempfile::tempdir().expect("a folder");
        let recording = Recording::begin(parent.path(), 300, 7).expect("begins");
        let mut tracks = [recording.track("a").expect("a file"), recording.track("b").expect("a file")];
        let moments: Vec<Moment> = (0..8).map(|number| tracks[number % 2].moment(Instant::now())).collect();
        // The third is written last, and belongs to what came before the end.
        for number in [0, 1, 3, 4, 5, 6, 7, 2] {
            tracks[number % 2].write(moments[number], &"x".repeat(20));
        }
        tracks.iter_mut().for_each(Track::flush);
        let numbers = |name| {
            let read: Vec<(Moment, String)> = read(recording.folder(), name).expect("reads");
            read.iter().map(|(moment, _)| moment.number).collect::<Vec<_>>()
        };
        let (a, b) = (numbers("a"), numbers("b"));
        assert!(!a.is_empty() && !b.is_empty() && a.len() + b.len() < 8, "{a:?} {b:?}");
    }
}
