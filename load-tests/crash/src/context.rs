//! What all clients of a run share: the clock, the phase, and where the server is.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering::Relaxed};
use std::time::{Duration, Instant};

use ringside_test_client::rest::Rest;
use ringside_test_client::websocket::Target;
use tokio::sync::watch;

/// What the clients are about.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Phase {
    /// Sending, vanishing, coming back.
    Sending,
    /// Nothing new is said; what is unfinished is brought to its end.
    Settling,
    /// One last sync, then the connection ends.
    Leaving,
}

/// Shared by all clients.
#[derive(Clone)]
pub(crate) struct RunContext {
    pub started: Instant,
    pub phase: watch::Receiver<Phase>,
    pub target: Target,
    pub rest: Rest,
    pub mean_pause: Duration,
}

impl RunContext {
    /// The clock of the histories.
    pub(crate) fn now_us(&self) -> u64 {
        self.started.elapsed().as_micros() as u64
    }

    pub(crate) fn phase(&self) -> Phase {
        *self.phase.borrow()
    }
}

/// How many messages of one client are unfinished, for the run to watch.
#[derive(Clone, Debug, Default)]
pub(crate) struct Unfinished(Arc<AtomicUsize>);

impl Unfinished {
    pub(crate) fn set(&self, count: usize) {
        self.0.store(count, Relaxed);
    }

    pub(crate) fn count(&self) -> usize {
        self.0.load(Relaxed)
    }
}
