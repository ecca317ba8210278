//! What a bridge has done, for metrics.

use std::sync::atomic::{AtomicU64, Ordering};

/// Counts since the start, and gauges as they stand.
#[derive(Debug, Default)]
pub struct Counters {
    /// Messages appended to the log and acknowledged.
    pub acknowledged: AtomicU64,
    /// Appends of messages: acknowledged / appends is the batch size.
    pub appends: AtomicU64,
    /// Messages refused for a limit.
    pub rate_limited: AtomicU64,
    /// Messages that the log did not confirm.
    pub unavailable: AtomicU64,
    /// Events handed to the shards.
    pub events: AtomicU64,
    /// Gaps read from the store.
    pub gaps: AtomicU64,
    /// Pages read for syncs.
    pub pages: AtomicU64,
    /// Gauge: users connected.
    pub users: AtomicU64,
    /// Gauge: channels listened to.
    pub channels: AtomicU64,
    /// Gauge: the epoch of the edge's slot.
    pub epoch: AtomicU64,
    /// Gauge: 1 while channel data may be sent.
    pub seated: AtomicU64,
}

impl Counters {
    /// Every figure with its name.
    pub fn named(&self) -> [(&'static str, u64); 11] {
        let read = |value: &AtomicU64| value.load(Ordering::Relaxed);
        [
            ("acknowledged", read(&self.acknowledged)),
            ("appends", read(&self.appends)),
            ("rate_limited", read(&self.rate_limited)),
            ("unavailable", read(&self.unavailable)),
            ("events", read(&self.events)),
            ("gaps", read(&self.gaps)),
            ("pages", read(&self.pages)),
            ("users", read(&self.users)),
            ("channels", read(&self.channels)),
            ("epoch", read(&self.epoch)),
            ("seated", read(&self.seated)),
        ]
    }
}

pub(crate) fn add(counter: &AtomicU64, by: usize) {
    counter.fetch_add(by as u64, Ordering::Relaxed);
}
