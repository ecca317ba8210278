//! How long things took, counted in buckets of fixed bounds: percentiles for the price of two additions.

use std::sync::atomic::{AtomicU64, Ordering};

/// Upper bounds of the buckets, in microseconds. Neighbours are near enough that a percentile is right to a third, and
/// few enough that a scrape stays short; what takes longer than the last is counted beside them.
pub const BOUNDS_US: [u64; BOUNDS] = [
    100, 200, 300, 500, 750, 1_000, 1_500, 2_000, 3_000, 4_000, 6_000, 8_000, 12_000, 16_000, 25_000, 35_000,
    50_000, 75_000, 100_000, 150_000, 250_000, 500_000, 1_000_000, 2_500_000, 5_000_000, 10_000_000,
];
const BOUNDS: usize = 26;

const _: () = {
    let mut at = 1;
    while at < BOUNDS {
        assert!(BOUNDS_US[at - 1] < BOUNDS_US[at], "bounds rise");
        at += 1;
    }
};

/// Counts by duration. Read by anyone, at any time.
#[derive(Debug, Default)]
pub struct Histogram {
    /// One for each bound, and one for all that is longer.
    buckets: [AtomicU64; BOUNDS + 1],
    sum_us: AtomicU64,
}

/// A histogram at one moment.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct HistogramSnapshot {
    /// How many fell into each bucket, and not into those below it; the last is all that passed the last bound.
    pub buckets: [u64; BOUNDS + 1],
    /// All durations together, in microseconds.
    pub sum_us: u64,
}

impl Histogram {
    /// Counts `times` durations of `us` microseconds. For one writer: no locked instruction is needed.
    pub fn record(&self, us: u64, times: u64) {
        let add = |counter: &AtomicU64, by: u64| {
            counter.store(counter.load(Ordering::Relaxed).wrapping_add(by), Ordering::Relaxed);
        };
        add(&self.buckets[bucket(us)], times);
        add(&self.sum_us, us.saturating_mul(times));
    }

    /// The same where several write.
    pub fn record_shared(&self, us: u64, times: u64) {
        self.buckets[bucket(us)].fetch_add(times, Ordering::Relaxed);
        self.sum_us.fetch_add(us.saturating_mul(times), Ordering::Relaxed);
    }

    /// What was counted so far; each number is exact, together they are not one instant.
    pub fn snapshot(&self) -> HistogramSnapshot {
        HistogramSnapshot {
            buckets: std::array::from_fn(|at| self.buckets[at].load(Ordering::Relaxed)),
            sum_us: self.sum_us.load(Ordering::Relaxed),
        }
    }
}

impl HistogramSnapshot {
    /// How many were counted.
    pub fn count(&self) -> u64 {
        self.buckets.iter().sum()
    }
}

/// The first bucket that holds so much: bounds belong to the bucket below them.
fn bucket(us: u64) -> usize {
    BOUNDS_US.partition_point(|bound| *bound < us)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_duration_is_in_the_bucket_of_the_next_bound() {
        let histogram = Histogram::default();
        for (us, times) in [(0, 1), (100, 2), (101, 4), (10_000_000, 8), (10_000_001, 16), (u64::MAX, 0)] {
            histogram.record(us, times);
        }
        histogram.record_shared(101, 32);
        let HistogramSnapshot { buckets, sum_us } = histogram.snapshot();
        assert_eq!((buckets[0], buckets[1], buckets[BOUNDS - 1], buckets[BOUNDS]), (3, 36, 8, 16));
        assert_eq!(histogram.snapshot().count(), 63);
        assert_eq!(sum_us, 200 + 36 * 101 + 8 * 10_000_000 + 16 * 10_000_001);
    }
}
