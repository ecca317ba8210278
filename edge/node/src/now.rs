//! Time as a node goes by it.

use std::time::Instant;

use ringside_types::{BootTime, UnixMillis};

/// One moment, by the clocks that a node needs.
#[derive(Clone, Copy, Debug)]
pub struct Now {
    /// For timers.
    pub instant: Instant,
    /// For the fence: it passes while the machine is suspended.
    pub boot: BootTime,
    /// The time of day.
    pub wall: UnixMillis,
}
