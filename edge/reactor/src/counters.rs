//! What a shard counts. Written by the shard alone, read by anyone.

use std::sync::atomic::{AtomicU64, Ordering};

/// One number with one writer.
#[derive(Debug, Default)]
pub(crate) struct Counter(AtomicU64);

impl Counter {
    /// Adds without a locked instruction: there is one writer.
    pub(crate) fn add(&self, amount: u64) {
        let now = self.0.load(Ordering::Relaxed);
        self.0.store(now.wrapping_add(amount), Ordering::Relaxed);
    }

    pub(crate) fn set(&self, value: u64) {
        self.0.store(value, Ordering::Relaxed);
    }

    pub(crate) fn value(&self) -> u64 {
        self.0.load(Ordering::Relaxed)
    }
}

macro_rules! counters {
    ($($(#[doc = $doc:literal])* $name:ident,)*) => {
        /// A shard's counters; all but `connections` only grow. Shared as `Arc<Counters>`.
        #[derive(Debug, Default)]
        pub struct Counters {
            $(pub(crate) $name: Counter,)*
        }

        /// The counters at one moment.
        #[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
        pub struct CountersSnapshot {
            $($(#[doc = $doc])* pub $name: u64,)*
        }

        impl Counters {
            /// All values; each is exact, together they are not one instant.
            #[must_use]
            pub fn snapshot(&self) -> CountersSnapshot {
                CountersSnapshot { $($name: self.$name.value(),)* }
            }
        }

        impl CountersSnapshot {
            /// Name, meaning and value of each counter, for an exporter.
            #[must_use]
            pub fn named(&self) -> Vec<(&'static str, &'static str, u64)> {
                vec![$((stringify!($name), concat!($($doc),*), self.$name),)*]
            }
        }
    };
}

counters! {
    /// Gauge: connections open now.
    connections,
    /// Connections accepted.
    accepted,
    /// Connections of our own that were made.
    connected,
    /// Connections closed.
    closed,
    /// Bytes received from peers.
    received_bytes,
    /// Receive completions with data.
    receives,
    /// Bytes that the kernel took from send queues.
    sent_bytes,
    /// Send completions.
    sends,
    /// Turns of the loop.
    turns,
    /// System calls that wait for or submit to the kernel.
    enters,
    /// Mails handled.
    mails,
    /// Timers fired.
    timers,
    /// Receives that ended because the receive pool was empty.
    enobufs,
    /// Enters at which the completion queue had overflowed.
    completion_overflows,
    /// Completions of an earlier generation of a slot, ignored.
    stale_completions,
    /// Connections whose queue passed its limit.
    queue_overflows,
    /// Times that accepting failed for want of descriptors or memory.
    accept_failures,
    /// Bytes of receives dropped because their connection was already closing.
    discarded_bytes,
}
