//! What a process took: CPU time, bytes written, room on the disk.

use std::os::unix::fs::MetadataExt as _;
use std::path::Path;

use rustix::time::{ClockId, clock_gettime};

use crate::engines::Outcome;

/// CPU time of all threads of this process, in microseconds.
pub fn cpu_us() -> u64 {
    let time = clock_gettime(ClockId::ProcessCPUTime);
    time.tv_sec as u64 * 1_000_000 + time.tv_nsec as u64 / 1_000
}

/// Bytes that this process caused to be written to the disk (proc(5), `write_bytes`). Pages count when they are dirtied.
pub fn written_bytes() -> Outcome<u64> {
    let io = std::fs::read_to_string("/proc/self/io")?;
    let line = io.lines().find_map(|line| line.strip_prefix("write_bytes: ")).ok_or("no write_bytes")?;
    Ok(line.trim().parse()?)
}

/// Bytes that the files of a folder occupy.
pub fn occupied_bytes(folder: &Path) -> Outcome<u64> {
    let mut bytes = 0;
    for entry in std::fs::read_dir(folder)? {
        let entry = entry?;
        let metadata = entry.metadata()?;
        bytes += if metadata.is_dir() { occupied_bytes(&entry.path())? } else { metadata.blocks() * 512 };
    }
    Ok(bytes)
}

/// The value below which `part` of the samples lie; sorts them.
pub fn percentile(samples: &mut [u64], part: f64) -> u64 {
    samples.sort_unstable();
    samples.get(((samples.len().saturating_sub(1)) as f64 * part) as usize).copied().unwrap_or_default()
}
