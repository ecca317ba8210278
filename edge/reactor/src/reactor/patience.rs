//! Who is a slow reader: queues above their limit, how long they may stand there, and what all of them may hold.
//!
//! A queue is appended to in a turn and offered to the kernel at the turn's end, so its length before that says how much
//! was said, not how slowly the peer reads. Slow is who stays above the limit for the whole of `send_patience_ms`, though
//! the kernel was offered everything. Until then a queue is bounded by [`BURST_FACTOR`] times the limit. All queues of the
//! shard, but for small ones, share `send_budget_bytes`: when it is used up, the one whose peer has taken nothing for
//! the longest time gives way.

use std::collections::{BTreeMap, HashMap};
use std::time::Duration;

use crate::config::{BURST_FACTOR, Config, SEND_BUDGET_FREE_BYTES};
use crate::connection::ConnectionId;
use crate::io::{Due, Io};
use crate::wheel::TimerId;

#[derive(Debug)]
pub(super) struct Patience {
    limit: usize,
    budget: usize,
    patience: Duration,
    /// Connections whose queue is not small. Empty as a rule, so that whoever reads pays for nothing.
    large: HashMap<ConnectionId, Large>,
    /// The same, by when their peer last took something; the first has taken nothing for the longest time.
    stalest: BTreeMap<u64, ConnectionId>,
    /// Counts what peers took, instead of a clock.
    progress: u64,
    /// Bytes of all large queues.
    queued: usize,
}

#[derive(Debug)]
struct Large {
    queued: usize,
    progress: u64,
    /// Runs while the queue is above the limit.
    timer: Option<TimerId>,
}

impl Patience {
    pub(super) fn new(config: &Config) -> Patience {
        Patience {
            limit: config.send_queue_limit_bytes,
            budget: config.send_budget_bytes,
            patience: Duration::from_millis(config.send_patience_ms.into()),
            large: HashMap::new(),
            stalest: BTreeMap::new(),
            progress: 0,
            queued: 0,
        }
    }

    /// Looks at a queue that grew; true: it can't be waited for.
    pub(super) fn is_exhausted(&mut self, io: &mut Io, id: ConnectionId) -> bool {
        let queued = io.queued_bytes(id);
        self.count(io, id, queued);
        queued > self.limit && self.patience.is_zero() || queued > self.limit * BURST_FACTOR
    }

    /// The connection that gives way for the others, if all of them hold too much.
    pub(super) fn gives_way(&self) -> Option<ConnectionId> {
        if self.queued <= self.budget {
            return None;
        }
        self.stalest.values().next().copied()
    }

    /// Whether a queue stands above its limit, or all of them above theirs.
    pub(super) fn waits_for(&self, id: ConnectionId) -> bool {
        self.large.get(&id).is_some_and(|large| large.queued > self.limit || self.queued > self.budget)
    }

    /// The kernel took some of a queue, or its handler cleared it.
    pub(super) fn shrank(&mut self, io: &mut Io, id: ConnectionId) {
        if !self.large.contains_key(&id) {
            return;
        }
        let queued = io.queued_bytes(id);
        self.count(io, id, queued);
        let Some(large) = self.large.get_mut(&id) else { return };
        self.stalest.remove(&large.progress);
        self.progress += 1;
        large.progress = self.progress;
        self.stalest.insert(self.progress, id);
    }

    /// Notes how long a queue is.
    fn count(&mut self, io: &mut Io, id: ConnectionId, queued: usize) {
        if queued <= SEND_BUDGET_FREE_BYTES.min(self.limit) {
            return self.forget(io, id);
        }
        let Patience { large, stalest, progress, patience, limit, .. } = self;
        let large = large.entry(id).or_insert_with(|| {
            *progress += 1;
            stalest.insert(*progress, id);
            Large { queued: 0, progress: *progress, timer: None }
        });
        self.queued = self.queued - large.queued + queued;
        large.queued = queued;
        match large.timer {
            None if queued > *limit => large.timer = Some(io.set_due(*patience, Due::Patience(id))),
            Some(timer) if queued <= *limit => {
                io.cancel_timer(timer);
                large.timer = None;
            }
            _ => {}
        }
    }

    /// The queue is small, or gone.
    pub(super) fn forget(&mut self, io: &mut Io, id: ConnectionId) {
        if let Some(Large { queued, progress, timer }) = self.large.remove(&id) {
            self.queued -= queued;
            self.stalest.remove(&progress);
            if let Some(timer) = timer {
                io.cancel_timer(timer);
            }
        }
    }
}
