//! Whether the disk has room, looked at once in a while.

use std::path::Path;
use std::sync::{Mutex, PoisonError};
use std::time::{Duration, Instant};

use ringside_ports::EngineError;

use super::unavailable;
use crate::folder::free_bytes;

/// How often the disk is looked at.
const INTERVAL: Duration = Duration::from_secs(1);

/// What was seen last.
#[derive(Default)]
pub(super) struct Room(Mutex<Seen>);

#[derive(Default)]
struct Seen {
    at: Option<Instant>,
    /// The bytes that were free, where they were too few.
    short_of: Option<u64>,
}

impl Room {
    /// Why nothing may be written while less than `least` bytes are free.
    pub(super) fn refusal(&self, folder: &Path, least: u64) -> Option<EngineError> {
        let mut seen = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        if seen.at.is_none_or(|at| at.elapsed() >= INTERVAL) {
            seen.at = Some(Instant::now());
            // A system that can't say how much is free doesn't stop the writer; the write itself would.
            let short = free_bytes(folder).ok().filter(|free| *free < least);
            if short.is_some() && seen.short_of.is_none() {
                tracing::error!(free = short, needed = least, "the disk is almost full: nothing is written");
            }
            seen.short_of = short;
        }
        let free = seen.short_of?;
        Some(unavailable(format!("the disk is almost full ({free} bytes free): free some space")))
    }
}
