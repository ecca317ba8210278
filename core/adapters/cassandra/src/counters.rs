//! What the store has asked of the engine, for metrics: plain atomics that anyone may read.

use std::sync::atomic::{AtomicU64, Ordering};

/// Counts since the store was opened.
#[derive(Debug, Default)]
pub struct Counters {
    /// Requests sent, each page and each retry among them. What the driver sends speculatively is not.
    pub requests: AtomicU64,
    /// Those of them that repeat one that was not confirmed.
    pub retries: AtomicU64,
    /// Requests that were given up, for whatever reason.
    pub failures: AtomicU64,
    /// Requests refused because too many were in flight.
    pub refusals: AtomicU64,
    /// Rows written, deletions among them.
    pub rows_written: AtomicU64,
    /// Bytes of their values.
    pub bytes_written: AtomicU64,
    /// Batches of rows of one partition.
    pub batches: AtomicU64,
    /// Rows in the answers to reads, over all pages.
    pub rows_read: AtomicU64,
    /// Bytes of the answers that held them.
    pub bytes_read: AtomicU64,
}

impl Counters {
    pub(crate) fn add(counter: &AtomicU64, amount: usize) {
        counter.fetch_add(amount as u64, Ordering::Relaxed);
    }
}
