//! When an input was taken.

use std::time::{Duration, Instant};

use ringside_types::{BootTime, UnixMillis};
use serde::{Deserialize, Serialize};

/// When an input was taken: its place among all inputs, and what the clocks said.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Moment {
    /// Counted over all tracks.
    pub number: u64,
    /// Nanoseconds since the recording began, as the machine was told the instant.
    pub at_ns: u64,
    /// The time of day, in milliseconds since 1970.
    pub wall_ms: u64,
    /// Nanoseconds since the machine was started.
    pub boot_ns: u64,
}

impl Moment {
    /// The time of day.
    pub const fn wall(&self) -> UnixMillis {
        UnixMillis(self.wall_ms)
    }

    /// The time since boot.
    pub const fn boot(&self) -> BootTime {
        BootTime(Duration::from_nanos(self.boot_ns))
    }

    /// The instant, where the recording began at `start`.
    pub fn instant(&self, start: Instant) -> Instant {
        start + Duration::from_nanos(self.at_ns)
    }
}
