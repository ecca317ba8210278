//! What the engines have done, for metrics: plain atomics that anyone may read.

use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use ringside_types::Histogram;

/// Counts since the engine was opened.
#[derive(Debug, Default)]
pub struct Counters {
    /// Groups of records made durable, each with one sync.
    pub batches: AtomicU64,
    /// Requests that they answered.
    pub requests: AtomicU64,
    /// Records appended to the log.
    pub records: AtomicU64,
    /// Bytes of their payload.
    pub record_bytes: AtomicU64,
    /// Rows written to the store.
    pub rows: AtomicU64,
    /// Rows not written, for a later one was there.
    pub stale_rows: AtomicU64,
    /// Records of the log removed, past their time.
    pub trimmed: AtomicU64,
    /// Reads of the log that the tail in memory answered.
    pub tail_reads: AtomicU64,
    /// Reads of the log that went to the store.
    pub cold_reads: AtomicU64,
    /// Microseconds spent in making groups durable: writing and syncing.
    pub write_us: AtomicU64,
    /// Groups by that time.
    pub write_seconds: Histogram,
    /// Batches that the store took.
    pub commits: AtomicU64,
    /// Batches of the store by the time that they took.
    pub commit_seconds: Histogram,
}

impl Counters {
    pub(crate) fn add(counter: &AtomicU64, amount: u64) {
        counter.fetch_add(amount, Ordering::Relaxed);
    }

    pub(crate) fn committed(&self, took: Duration) {
        Self::add(&self.commits, 1);
        self.commit_seconds.record_shared(took.as_micros() as u64, 1);
    }

    pub(crate) fn wrote(&self, took: Duration, requests: usize) {
        let us = took.as_micros() as u64;
        Self::add(&self.batches, 1);
        Self::add(&self.requests, requests as u64);
        Self::add(&self.write_us, us);
        self.write_seconds.record_shared(us, 1);
    }
}
