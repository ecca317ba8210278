//! What the adapter has done, for metrics.

use std::sync::atomic::AtomicU64;

/// Counted since the start; they only grow.
#[derive(Debug, Default)]
pub struct Counters {
    /// Pipelines sent: one to each server that a call touches, and more where it has to be repeated.
    pub round_trips: AtomicU64,
    /// Commands in them.
    pub commands: AtomicU64,
    /// Connections made.
    pub connections_made: AtomicU64,
    /// Connections that broke, or were dropped because no reply came in time.
    pub connections_lost: AtomicU64,
    /// Calls that ended without an answer.
    pub calls_failed: AtomicU64,
    /// Commands that a cluster sent elsewhere, because a slot had moved.
    pub redirections: AtomicU64,
    /// Tokens that were taken and could not be given back: limits were a little stricter for a while.
    pub tokens_lost: AtomicU64,
    /// Messages of the bus that were dropped, because whoever takes them was too slow.
    pub messages_dropped: AtomicU64,
}
