//! The wall clock.

use std::time::{SystemTime, UNIX_EPOCH};

use ringside_types::UnixMillis;

/// What time it is; it may step back.
pub(crate) fn now() -> UnixMillis {
    let since = SystemTime::now().duration_since(UNIX_EPOCH);
    UnixMillis(since.map_or(0, |since| since.as_millis() as u64))
}
