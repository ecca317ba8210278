//! What a bridge has done, for metrics.

use std::sync::atomic::{AtomicU64, Ordering};

use ringside_types::Histogram;

macro_rules! counters {
    ($($(#[doc = $doc:literal])* $name:ident,)*) => {
        /// Counts since the start, gauges as they stand, and how long things took.
        #[derive(Debug, Default)]
        pub struct Counters {
            $($(#[doc = $doc])* pub $name: AtomicU64,)*
            /// From a record's time in the edge's part of the log to reading it here.
            pub receive_seconds: Histogram,
        }

        impl Counters {
            /// Every figure with its name, and what it says.
            pub fn named(&self) -> Vec<(&'static str, &'static str, u64)> {
                vec![$((stringify!($name), concat!($($doc),*), self.$name.load(Ordering::Relaxed)),)*]
            }
        }
    };
}

counters! {
    /// Messages appended to the log and acknowledged.
    acknowledged,
    /// Appends of messages: acknowledged / appends is the batch size.
    appends,
    /// Messages refused for a limit.
    rate_limited,
    /// Messages that the log did not confirm.
    unavailable,
    /// Events handed to the shards.
    events,
    /// Gaps read from the store.
    gaps,
    /// Pages read for syncs.
    pages,
    /// Gauge: users connected.
    users,
    /// Gauge: channels listened to.
    channels,
    /// Gauge: the epoch of the edge's slot.
    epoch,
    /// Gauge: 1 while channel data may be sent.
    seated,
}

pub(crate) fn add(counter: &AtomicU64, by: usize) {
    counter.fetch_add(by as u64, Ordering::Relaxed);
}
