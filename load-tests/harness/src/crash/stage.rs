//! What all clients of a run share: the clock, the phase, and where the server is.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering::Relaxed};
use std::time::{Duration, Instant};

use tokio::sync::watch;

use crate::client::Target;
use crate::rest::Rest;

/// What the clients are about.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Phase {
    /// Sending, vanishing, coming back.
    Sending,
    /// Nothing new is said; what is unfinished is brought to its end.
    Settling,
    /// One last sync, then home.
    Leaving,
}

/// Shared by all clients.
#[derive(Clone)]
pub(super) struct Stage {
    pub started: Instant,
    pub phase: watch::Receiver<Phase>,
    pub target: Target,
    pub rest: Rest,
    pub mean_pause: Duration,
}

impl Stage {
    /// The clock of the histories.
    pub(super) fn now_us(&self) -> u64 {
        self.started.elapsed().as_micros() as u64
    }

    pub(super) fn phase(&self) -> Phase {
        *self.phase.borrow()
    }
}

/// How many messages of one client are unfinished, for the run to watch.
#[derive(Clone, Debug, Default)]
pub(super) struct Unfinished(Arc<AtomicUsize>);

impl Unfinished {
    pub(super) fn set(&self, count: usize) {
        self.0.store(count, Relaxed);
    }

    pub(super) fn count(&self) -> usize {
        self.0.load(Relaxed)
    }
}
