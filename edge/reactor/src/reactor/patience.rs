//! Who is a slow reader: queues above their limit, and how long they may stand there.
//!
//! A queue is appended to in a turn and offered to the kernel at the turn's end, so its length before that says how much
//! was said, not how slowly the peer reads. Slow is who stays above the limit for the whole of `send_patience_ms`, though
//! the kernel was offered everything. Until then a queue is bounded by [`BURST_FACTOR`] times the limit, and what all
//! queues of the shard hold above their limits by `send_excess_limit_bytes`.

use std::collections::HashMap;
use std::time::Duration;

use crate::config::{BURST_FACTOR, Config};
use crate::connection::ConnectionId;
use crate::io::{Due, Io};
use crate::wheel::TimerId;

#[derive(Debug)]
pub(super) struct Patience {
    limit: usize,
    excess_limit: usize,
    patience: Duration,
    /// Connections above the limit. Empty as a rule, so that whoever is below pays for nothing.
    over: HashMap<ConnectionId, Over>,
    /// Bytes of all of them above their limits.
    excess: usize,
}

#[derive(Debug)]
struct Over {
    excess: usize,
    timer: TimerId,
}

impl Patience {
    pub(super) fn new(config: &Config) -> Patience {
        Patience {
            limit: config.send_queue_limit_bytes,
            excess_limit: config.send_excess_limit_bytes,
            patience: Duration::from_millis(config.send_patience_ms.into()),
            over: HashMap::new(),
            excess: 0,
        }
    }

    /// Looks at a queue that grew; true: it can't be waited for.
    pub(super) fn is_exhausted(&mut self, io: &mut Io, id: ConnectionId) -> bool {
        let queued = io.queued_bytes(id);
        if queued <= self.limit {
            self.shrank(io, id);
            return false;
        }
        let excess = queued - self.limit;
        let Patience { over, patience, .. } = self;
        let entry = over
            .entry(id)
            .or_insert_with(|| Over { excess: 0, timer: io.set_due(*patience, Due::Patience(id)) });
        self.excess = self.excess - entry.excess + excess;
        entry.excess = excess;
        patience.is_zero() || queued > self.limit * BURST_FACTOR || self.excess > self.excess_limit
    }

    /// Whether a queue stands above its limit.
    pub(super) fn waits_for(&self, id: ConnectionId) -> bool {
        self.over.contains_key(&id)
    }

    /// The kernel took some of a queue, or its handler cleared it.
    pub(super) fn shrank(&mut self, io: &mut Io, id: ConnectionId) {
        if self.over.is_empty() {
            return;
        }
        let excess = io.queued_bytes(id).saturating_sub(self.limit);
        if excess == 0 {
            self.forget(io, id);
        } else if let Some(entry) = self.over.get_mut(&id) {
            self.excess = self.excess - entry.excess + excess;
            entry.excess = excess;
        }
    }

    /// The queue is within its limit, or gone.
    pub(super) fn forget(&mut self, io: &mut Io, id: ConnectionId) {
        if let Some(Over { excess, timer }) = self.over.remove(&id) {
            self.excess -= excess;
            io.cancel_timer(timer);
        }
    }
}
