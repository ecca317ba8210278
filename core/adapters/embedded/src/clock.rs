//! The wall clock, as an argument: tests set it.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{SystemTime, UNIX_EPOCH};

use ringside_types::UnixMillis;

/// Tells the wall-clock time. It may step back: what must not, takes the maximum with what it had.
#[derive(Clone, Debug, Default)]
pub enum Clock {
    /// The machine's.
    #[default]
    System,
    /// One that is set by hand, in milliseconds since the Unix epoch.
    Manual(Arc<AtomicU64>),
}

impl Clock {
    /// What time it is.
    pub fn now(&self) -> UnixMillis {
        match self {
            Self::System => {
                let since = SystemTime::now().duration_since(UNIX_EPOCH);
                UnixMillis(since.map_or(0, |since| since.as_millis() as u64))
            }
            Self::Manual(ms) => UnixMillis(ms.load(Ordering::Relaxed)),
        }
    }
}
