//! What a gateway has done, for metrics. Written by the shard alone.

use std::sync::atomic::{AtomicU64, Ordering};

use ringside_session::context::Counts;
use ringside_session::handshake::{AUTH_REFUSAL_REASONS, REFUSAL_REASONS};
use ringside_types::Histogram;

macro_rules! counters {
    ($($(#[doc = $doc:literal])* $name:ident,)*) => {
        /// Counts since the start, gauges as they stand, and how long things took.
        #[derive(Debug, Default)]
        pub struct Counters {
            $($(#[doc = $doc])* pub $name: AtomicU64,)*
            /// Handshakes refused, by [`REFUSAL_REASONS`].
            pub refused: [AtomicU64; REFUSAL_REASONS.len()],
            /// Fresh tokens of open connections refused, by [`AUTH_REFUSAL_REASONS`].
            pub auth_refused: [AtomicU64; AUTH_REFUSAL_REASONS.len()],
            /// From taking a command to queueing its acknowledgement.
            pub ack_seconds: Histogram,
            /// From a record's time in the log to queueing it for a member, once for each.
            pub delivery_seconds: Histogram,
        }

        impl Counters {
            /// Connections past their handshake, now.
            pub fn open_now(&self) -> u64 {
                self.open.load(Ordering::Relaxed)
            }

            /// Every figure with its name, and what it says.
            pub fn named(&self) -> Vec<(&'static str, &'static str, u64)> {
                vec![$((stringify!($name), concat!($($doc),*), self.$name.load(Ordering::Relaxed)),)*]
            }
        }
    };
}

counters! {
    /// Gauge: connections past their handshake.
    open,
    /// Gauge: channels with members here.
    channels,
    /// Gauge: requests that the node has no room for yet.
    requests_waiting,
    /// Handshakes answered with 101.
    upgraded,
    /// Connections without a request that gave way to others.
    handshakes_evicted,
    /// Text messages received.
    frames_in,
    /// Messages handed to the node.
    sends,
    /// Commands refused.
    errors,
    /// Frames beyond their user's budget, refused.
    rate_limited,
    /// Connections let go for sending on in spite of that.
    policy_closes,
    /// Events taken from the node.
    events,
    /// Frames queued for members: deliveries / events is the fan-out.
    deliveries,
    /// Pages of missed messages sent.
    pages,
    /// Connections let go for being slow.
    slow_consumers,
    /// Connections that went silent.
    silent,
}

impl Counters {
    /// What sessions have counted so far.
    pub(crate) fn publish(&self, counts: &Counts) {
        let Counts { upgraded, frames_in, sends, errors, rate_limited, policy_closes, pages, silent } =
            *counts;
        for (counter, count) in [
            (&self.upgraded, upgraded),
            (&self.frames_in, frames_in),
            (&self.sends, sends),
            (&self.errors, errors),
            (&self.rate_limited, rate_limited),
            (&self.policy_closes, policy_closes),
            (&self.pages, pages),
            (&self.silent, silent),
        ] {
            set(counter, count);
        }
    }

    /// A handshake was refused for this one of [`REFUSAL_REASONS`].
    pub(crate) fn count_refusal(&self, reason: &str) {
        if let Some(at) = REFUSAL_REASONS.iter().position(|known| *known == reason) {
            add(&self.refused[at], 1);
        }
    }

    /// A fresh token was refused for this one of [`AUTH_REFUSAL_REASONS`].
    pub(crate) fn count_auth_refusal(&self, reason: &str) {
        if let Some(at) = AUTH_REFUSAL_REASONS.iter().position(|known| *known == reason) {
            add(&self.auth_refused[at], 1);
        }
    }
}

pub(crate) fn add(counter: &AtomicU64, by: u64) {
    // There is one writer: no locked instruction is needed.
    counter.store(counter.load(Ordering::Relaxed).wrapping_add(by), Ordering::Relaxed);
}

pub(crate) fn set(counter: &AtomicU64, value: u64) {
    counter.store(value, Ordering::Relaxed);
}
