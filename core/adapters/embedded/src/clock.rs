//! The wall clock, as an argument: tests set it.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use ringside_types::UnixMillis;

/// Tells the wall-clock time. It may step back: what must not, takes the maximum with what it had.
#[derive(Clone, Debug, Default)]
pub enum Clock {
    /// The machine's, as [`ringside_clock`] believes it.
    #[default]
    System,
    /// One that is set by hand, in milliseconds since the Unix epoch.
    Manual(Arc<AtomicU64>),
}

impl Clock {
    /// What time it is.
    pub fn now(&self) -> UnixMillis {
        match self {
            Self::System => ringside_clock::now(),
            Self::Manual(ms) => UnixMillis(ms.load(Ordering::Relaxed)),
        }
    }
}
