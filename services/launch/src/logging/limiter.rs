//! How many lines one place in the code may log: what a stranger can cause must not fill a disk.
//!
//! Each place that logs has [`LINES_MAX`] lines in each [`WINDOW`]; further ones are counted and left out. What was left
//! out is said once a window, and counted in the metrics. DEBUG and TRACE are asked for by somebody who looks for
//! something, and are not limited.

use std::collections::HashMap;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Mutex, PoisonError};
use std::time::{Duration, Instant};

use tracing::callsite::Identifier;
use tracing::{Event, Level, Subscriber};
use tracing_subscriber::Layer;
use tracing_subscriber::layer::Context;

/// Lines of one place in a window.
const LINES_MAX: u32 = 50;
/// How long a window is.
pub(super) const WINDOW: Duration = Duration::from_secs(10);

static SUPPRESSED: AtomicU64 = AtomicU64::new(0);

/// Lines that were left out since the start.
pub(crate) fn suppressed() -> u64 {
    SUPPRESSED.load(Ordering::Relaxed)
}

/// Leaves out what is too much.
#[derive(Default)]
pub(super) struct Limiter {
    /// When each place's window began, and its lines since. There are as many as the code has places.
    windows: Mutex<HashMap<Identifier, (Instant, u32)>>,
}

impl Limiter {
    fn may_log(&self, place: Identifier, now: Instant) -> bool {
        // Nothing is half done where it could panic.
        let mut windows = self.windows.lock().unwrap_or_else(PoisonError::into_inner);
        let (began, lines) = windows.entry(place).or_insert((now, 0));
        if now.saturating_duration_since(*began) >= WINDOW {
            (*began, *lines) = (now, 0);
        }
        *lines = lines.saturating_add(1);
        *lines <= LINES_MAX
    }
}

impl<S: Subscriber> Layer<S> for Limiter {
    fn event_enabled(&self, event: &Event<'_>, _: Context<'_, S>) -> bool {
        if *event.metadata().level() > Level::INFO {
            return true;
        }
        let may_log = self.may_log(event.metadata().callsite(), Instant::now());
        if !may_log {
            SUPPRESSED.fetch_add(1, Ordering::Relaxed);
        }
        may_log
    }
}

#[cfg(test)]
mod tests {
    use std::io::Write;
    use std::sync::Arc;

    use tracing_subscriber::layer::SubscriberExt as _;

    use super::*;

    #[derive(Clone, Default)]
    struct Lines(Arc<Mutex<Vec<u8>>>);

    impl Write for Lines {
        fn write(&mut self, bytes: &[u8]) -> std::io::Result<usize> {
            self.0.lock().expect("no panic").extend_from_slice(bytes);
            Ok(bytes.len())
        }

        fn flush(&mut self) -> std::io::Result<()> {
            Ok(())
        }
    }

    #[test]
    fn one_place_can_not_drown_the_others() {
        let lines = Lines::default();
        let writer = lines.clone();
        let format = tracing_subscriber::fmt::layer().with_writer(move || writer.clone());
        let before = suppressed();
        tracing::subscriber::with_default(
            tracing_subscriber::registry().with(Limiter::default()).with(format),
            || {
                for _ in 0..10_000 {
                    tracing::warn!("a stranger did it again");
                }
                tracing::warn!("something else");
            },
        );
        let written = String::from_utf8(lines.0.lock().expect("no panic").clone()).expect("text");
        assert_eq!(written.matches("did it again").count(), LINES_MAX as usize);
        assert!(written.contains("something else"));
        assert!(suppressed() >= before + 10_000 - u64::from(LINES_MAX));
    }

    #[test]
    fn the_next_window_is_new() {
        tracing::subscriber::with_default(tracing_subscriber::registry(), || {
            let limiter = Limiter::default();
            let place = tracing::info_span!("any").metadata().expect("a registry takes it").callsite();
            let now = Instant::now();
            let logged = |now| (0..100).filter(|_| limiter.may_log(place.clone(), now)).count();
            assert_eq!(logged(now), LINES_MAX as usize);
            assert_eq!(logged(now + WINDOW - Duration::from_millis(1)), 0);
            assert_eq!(logged(now + WINDOW), LINES_MAX as usize);
        });
    }
}
