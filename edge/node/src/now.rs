//! Time as a node goes by it.

use std::time::{Duration, Instant};

use ringside_types::{BootTime, UnixMillis};

/// One moment, by the clocks that a node needs.
#[derive(Clone, Copy, Debug)]
pub struct Now {
    pub instant: Instant,
    /// For the fence: it passes while the machine is suspended.
    pub boot: BootTime,
    /// The time of day.
    pub wall: UnixMillis,
}

impl Now {
    /// Whether the time of day went on by more than this above the time since boot.
    pub(crate) fn wall_has_jumped_since(self, earlier: Self, by: Duration) -> bool {
        let wall = Duration::from_millis(self.wall.since(earlier.wall));
        wall > self.boot.0.saturating_sub(earlier.boot.0) + by
    }
}
