//! What the data folder takes on its disk, and what is left there.

use std::fmt;
use std::fs;
use std::io;
use std::os::unix::fs::MetadataExt as _;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, Instant};

use prometheus_client::collector::Collector;
use prometheus_client::encoding::{DescriptorEncoder, EncodeMetric};
use prometheus_client::metrics::MetricType;
use prometheus_client::metrics::gauge::ConstGauge;
use rustix::fs::statvfs;
use tokio::sync::Mutex;

/// The folder is walked through no more often than this.
const EVERY: Duration = Duration::from_secs(10);
/// Files that are looked at: an engine has hundreds.
const FILES_MAX: usize = 100_000;
/// What `st_blocks` counts in, whatever the file system's blocks are.
const BLOCK_BYTES: u64 = 512;

/// The figures of the disk as they were measured last.
#[derive(Debug)]
pub(super) struct DataDisk {
    folder: PathBuf,
    used: AtomicU64,
    free: AtomicU64,
    size: AtomicU64,
    measured: Mutex<Option<Instant>>,
}

impl DataDisk {
    pub(super) fn of(folder: &Path) -> Self {
        let (used, free, size) = Default::default();
        Self { folder: folder.to_owned(), used, free, size, measured: Mutex::default() }
    }

    /// Measures, where that was long ago.
    pub(super) async fn measure(self: &Arc<Self>) {
        let mut measured = self.measured.lock().await;
        if measured.is_some_and(|at| at.elapsed() < EVERY) {
            return;
        }
        let disk = self.clone();
        let look = tokio::task::spawn_blocking(move || disk.look());
        match look.await {
            Ok(Ok(())) => *measured = Some(Instant::now()),
            Ok(Err(error)) => tracing::warn!(%error, "what the data folder takes can't be told"),
            Err(error) => std::panic::resume_unwind(error.into_panic()),
        }
    }

    fn look(&self) -> io::Result<()> {
        let disk = statvfs(&self.folder)?;
        self.free.store(disk.f_bavail.saturating_mul(disk.f_frsize), Ordering::Relaxed);
        self.size.store(disk.f_blocks.saturating_mul(disk.f_frsize), Ordering::Relaxed);
        self.used.store(used_bytes(&self.folder)?, Ordering::Relaxed);
        Ok(())
    }
}

/// Bytes on the disk of all files in a folder. What goes meanwhile is not counted.
fn used_bytes(folder: &Path) -> io::Result<u64> {
    let (mut folders, mut files, mut used) = (vec![folder.to_owned()], 0, 0);
    while let Some(folder) = folders.pop() {
        let entries = match fs::read_dir(&folder) {
            Err(error) if error.kind() == io::ErrorKind::NotFound => continue,
            entries => entries?,
        };
        for entry in entries {
            let entry = entry?;
            // A link is counted, and not followed.
            let Ok(about) = entry.metadata() else { continue };
            used += about.blocks() * BLOCK_BYTES;
            if about.is_dir() {
                folders.push(entry.path());
            }
            files += 1;
            if files >= FILES_MAX {
                return Ok(used);
            }
        }
    }
    Ok(used)
}

/// Shows the figures.
#[derive(Debug)]
pub(super) struct Figures(pub(super) Arc<DataDisk>);

impl Collector for Figures {
    fn encode(&self, mut encoder: DescriptorEncoder<'_>) -> fmt::Result {
        let DataDisk { used, free, size, .. } = &*self.0;
        for (name, help, value) in [
            ("ringside_data_used_bytes", "What the files of the data folder take on the disk", used),
            ("ringside_data_free_bytes", "What is left for us on the disk of the data folder", free),
            ("ringside_data_size_bytes", "The size of the disk of the data folder", size),
        ] {
            let metric = encoder.encode_descriptor(name, help, None, MetricType::Gauge)?;
            let value = i64::try_from(value.load(Ordering::Relaxed)).unwrap_or(i64::MAX);
            ConstGauge::new(value).encode(metric)?;
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_folder_takes_what_its_files_take() {
        let folder = tempfile::tempdir().expect("a folder");
        let before = used_bytes(folder.path()).expect("it can be read");
        fs::create_dir(folder.path().join("below")).expect("made");
        fs::write(folder.path().join("below/file"), vec![7; 1 << 20]).expect("written");
        let used = used_bytes(folder.path()).expect("it can be read") - before;
        assert!((1 << 20..1 << 21).contains(&used), "{used}");
    }
}
