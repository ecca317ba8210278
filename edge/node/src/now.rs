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

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_wall_clock_has_jumped_when_it_went_on_by_more_than_was_allowed() {
        let earlier =
            Now { instant: Instant::now(), boot: BootTime(Duration::ZERO), wall: UnixMillis(1_000) };
        let by = Duration::from_millis(200);
        for (boot_ms, wall_ms, has_jumped) in
            [(0, 200, false), (0, 201, true), (100, 300, false), (100, 301, true), (300, 0, false)]
        {
            let boot = BootTime(Duration::from_millis(boot_ms));
            let later = Now { boot, wall: earlier.wall.plus_ms(wall_ms), ..earlier };
            assert_eq!(later.wall_has_jumped_since(earlier, by), has_jumped, "{boot_ms} and {wall_ms} ms");
        }
    }
}
