//! A token bucket without a clock: time is an argument, in milliseconds that only rise.

use ringside_ports::presence::{Rate, RateDecision};

/// Parts of a token: at `n` tokens a minute, `n` parts come back each millisecond, without rounding.
const PARTS_PER_TOKEN: u64 = 60_000;

/// A bucket's level. Its measures come with each question, so that a changed limit holds at once.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Bucket {
    parts: u64,
    at_ms: u64,
}

/// A verdict, and when the bucket will be full again: from then on it knows nothing that a new one doesn't.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Clocked {
    /// Whether the token was granted.
    pub verdict: RateDecision,
    /// When the bucket is full, in milliseconds.
    pub full_at_ms: u64,
}

impl Bucket {
    pub fn full(rate: Rate, now_ms: u64) -> Self {
        Self { parts: capacity(rate), at_ms: now_ms }
    }

    /// Takes a token, if there is one. A time before the last one counts as the last one.
    pub fn take(&mut self, rate: Rate, now_ms: u64) -> Clocked {
        self.take_tokens(rate, 1, now_ms)
    }

    /// Takes so many tokens, which the burst holds, if they are there.
    pub fn take_tokens(&mut self, rate: Rate, tokens: u32, now_ms: u64) -> Clocked {
        if rate.per_minute == 0 {
            return Clocked { verdict: RateDecision::Granted { remaining: u32::MAX }, full_at_ms: now_ms };
        }
        let per_ms = u64::from(rate.per_minute);
        self.fill(rate, now_ms);
        let parts = u64::from(tokens) * PARTS_PER_TOKEN;
        let verdict = match self.parts.checked_sub(parts) {
            Some(left) => {
                self.parts = left;
                RateDecision::Granted { remaining: (left / PARTS_PER_TOKEN) as u32 }
            }
            None => RateDecision::Refused { retry_after_ms: (parts - self.parts).div_ceil(per_ms) },
        };
        Clocked { verdict, full_at_ms: self.full_at_ms(rate) }
    }

    /// Gives a token back, never above the burst; returns when the bucket will be full again, in milliseconds.
    pub fn give(&mut self, rate: Rate, now_ms: u64) -> u64 {
        self.give_tokens(rate, 1, now_ms)
    }

    /// The same with so many.
    pub fn give_tokens(&mut self, rate: Rate, tokens: u32, now_ms: u64) -> u64 {
        if rate.per_minute == 0 {
            return now_ms;
        }
        self.fill(rate, now_ms);
        self.parts = self.parts.saturating_add(u64::from(tokens) * PARTS_PER_TOKEN).min(capacity(rate));
        self.full_at_ms(rate)
    }

    /// Adds what came back since the last time.
    fn fill(&mut self, rate: Rate, now_ms: u64) {
        let elapsed = now_ms.saturating_sub(self.at_ms);
        self.at_ms = self.at_ms.max(now_ms);
        let back = elapsed.saturating_mul(u64::from(rate.per_minute));
        self.parts = self.parts.saturating_add(back).min(capacity(rate));
    }

    /// The rate is not 0.
    fn full_at_ms(&self, rate: Rate) -> u64 {
        let missing = capacity(rate) - self.parts;
        self.at_ms.saturating_add(missing.div_ceil(u64::from(rate.per_minute)))
    }
}

/// A bucket holds at least one token, or it would never grant any.
fn capacity(rate: Rate) -> u64 {
    u64::from(rate.burst.max(1)) * PARTS_PER_TOKEN
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn is_granted(clocked: Clocked) -> bool {
        matches!(clocked.verdict, RateDecision::Granted { .. })
    }

    #[test]
    fn a_burst_then_the_rate() {
        let rate = Rate { per_minute: 600, burst: 20 };
        let mut bucket = Bucket::full(rate, 0);
        let granted: Vec<_> = (0..20).map(|_| bucket.take(rate, 0).verdict).collect();
        assert_eq!(granted[0], RateDecision::Granted { remaining: 19 });
        assert_eq!(granted[19], RateDecision::Granted { remaining: 0 });
        assert_eq!(bucket.take(rate, 0).verdict, RateDecision::Refused { retry_after_ms: 100 });
        assert_eq!(bucket.take(rate, 99).verdict, RateDecision::Refused { retry_after_ms: 1 });
        assert_eq!(bucket.take(rate, 100).verdict, RateDecision::Granted { remaining: 0 });
    }

    #[test]
    fn one_charge_may_take_all_that_a_bucket_holds() {
        let rate = Rate { per_minute: 60, burst: 7 };
        let mut bucket = Bucket::full(rate, 0);
        assert!(is_granted(bucket.take_tokens(rate, 7, 0)));
        assert_eq!(bucket.take_tokens(rate, 7, 0).verdict, RateDecision::Refused { retry_after_ms: 7_000 });
        assert_eq!(bucket.take_tokens(rate, 7, 6_999).verdict, RateDecision::Refused { retry_after_ms: 1 });
        assert!(is_granted(bucket.take_tokens(rate, 7, 7_000)));
        assert_eq!(bucket.give_tokens(rate, 7, 7_000), 7_000);
    }

    #[test]
    fn zero_a_minute_is_no_limit() {
        let rate = Rate { per_minute: 0, burst: 0 };
        let mut bucket = Bucket::full(rate, 0);
        assert!((0..1_000).all(|_| is_granted(bucket.take(rate, 0))));
    }

    #[test]
    fn what_is_given_back_is_there_and_never_above_the_burst() {
        let rate = Rate { per_minute: 600, burst: 2 };
        let mut bucket = Bucket::full(rate, 0);
        assert_eq!(bucket.give(rate, 0), 0, "full as it was");
        assert_eq!(bucket, Bucket::full(rate, 0));
        assert!((0..2).all(|_| is_granted(bucket.take(rate, 0))) && !is_granted(bucket.take(rate, 0)));
        assert_eq!(bucket.give(rate, 50), 100, "half a token came back meanwhile");
        assert!(is_granted(bucket.take(rate, 50)) && !is_granted(bucket.take(rate, 50)));
    }

    proptest! {
        /// Over any window, no more than the burst and what came back meanwhile; a refusal's time is exact.
        #[test]
        fn never_more_than_the_rate(
            per_minute in 1_u32..100_000,
            burst in 0_u32..50,
            steps in prop::collection::vec(0_u64..3_000, 1..200),
        ) {
            let rate = Rate { per_minute, burst };
            let (mut bucket, mut now, mut granted) = (Bucket::full(rate, 0), 0, 0_u64);
            for step in steps {
                now += step;
                let clocked = bucket.take(rate, now);
                match clocked.verdict {
                    RateDecision::Granted { remaining } => {
                        granted += 1;
                        prop_assert!(remaining < burst.max(1));
                    }
                    RateDecision::Refused { retry_after_ms } => {
                        prop_assert!(retry_after_ms > 0);
                        let (mut early, mut due) = (bucket, bucket);
                        prop_assert!(!is_granted(early.take(rate, now + retry_after_ms - 1)));
                        prop_assert!(is_granted(due.take(rate, now + retry_after_ms)));
                    }
                }
                prop_assert!(granted * 60_000 <= u64::from(burst.max(1)) * 60_000 + now * u64::from(per_minute));
                let mut rested = bucket;
                let mut new = Bucket::full(rate, clocked.full_at_ms);
                prop_assert_eq!(rested.take(rate, clocked.full_at_ms), new.take(rate, clocked.full_at_ms));
            }
        }

        /// A clock that steps back gives nothing and takes nothing.
        #[test]
        fn time_only_rises(per_minute in 1_u32..1_000, back in 1_u64..1_000) {
            let rate = Rate { per_minute, burst: 1 };
            let mut bucket = Bucket::full(rate, 1_000);
            prop_assert!(is_granted(bucket.take(rate, 1_000)));
            prop_assert!(!is_granted(bucket.take(rate, 1_000 - back)));
            let same = bucket;
            bucket.take(rate, 1_000 - back);
            prop_assert_eq!(bucket, same);
        }
    }
}
