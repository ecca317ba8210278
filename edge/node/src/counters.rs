//! What a node has done, for metrics.

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
    /// Handshakes refused because too many wait.
    admissions_refused,
    /// Pages refused because too many wait.
    reads_refused,
    /// Messages refused because too many senders are being looked up.
    senders_refused,
    /// Receipts and signs of typing refused because too many wait.
    signals_refused,
    /// Subscriptions to presence refused because too many wait.
    subscriptions_refused,
    /// Gauge: handshakes that wait to be looked up.
    admissions_waiting,
    /// Gauge: users whose connections are asked whether they live.
    users_probed,
    /// Gauge: pages that wait to be read, for a channel's join, or for a word on their reader.
    reads_waiting,
    /// Gauge: senders who are being looked up, each in one channel.
    senders_waiting,
    /// Gauge: receipts and signs of typing that wait to be looked up or appended.
    signals_waiting,
    /// Gauge: receipts of the last second, of which newer ones replace older ones.
    receipts_paced,
    /// Gauge: users who type, each in one channel.
    typists,
    /// Gauge: statuses that wait to be set.
    statuses_waiting,
    /// Gauge: connections whose subscriptions to presence wait for a look.
    subscriptions_waiting,
    /// Gauge: deliveries that wait for the fullest shard.
    deliveries_waiting,
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
