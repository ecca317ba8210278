//! What one user's frames and handshakes may cost a server, over all of their connections.
//!
//! A cost is counted in *units*, some 5 µs of a core each, so that one number bounds cheap and dear requests alike. The
//! budget is a token bucket, kept as the instant at which it will be full again (the generic cell rate algorithm, ITU-T
//! I.371): two numbers a user, shared by the shards that hold the user's connections and by the node. What is
//! refused is answered, and counted in a bucket of its own; whoever goes on in spite of that is let go.

use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Instant;

use ringside_types::Limits;

/// Units of any frame, besides what it asks for.
pub const FRAME_UNITS: u32 = 10;
/// Bytes of a frame that cost one unit.
pub const BYTES_PER_UNIT: usize = 1_024;
/// Units of a receipt or a sign of typing: the store or the Directory may be asked.
pub const SIGNAL_UNITS: u32 = 10;
/// Units of a status that is set: the Directory may be written.
pub const PRESENCE_SET_UNITS: u32 = 90;
/// Units of a signature that is verified.
pub const AUTH_UNITS: u32 = 190;
/// Units of a channel in a `sync`: heads and changes of it are read.
pub const SYNC_CHANNEL_UNITS: u32 = 4;
/// Units of a user in `presence.subscribe` or `presence.unsubscribe`.
pub const WATCHED_USER_UNITS: u32 = 1;
/// Units of a handshake that asks to be let in: Directory, Presence and log are asked.
pub const HANDSHAKE_UNITS: u32 = 200;

/// Refusals in a row after which a user is let go.
const REFUSALS_MAX: u64 = 200;
/// A refusal is forgotten after this long.
const REFUSAL_LIFE_US: u64 = 100_000;

/// How much of it there is: the operator's `frame_units_per_second` and `frame_units_burst`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Allowance {
    /// Units a second in the long run; 0: no limit.
    pub per_second: u32,
    /// Units at once after a pause.
    pub burst: u32,
}

impl From<&Limits> for Allowance {
    fn from(limits: &Limits) -> Self {
        Self { per_second: limits.frame_units_per_second, burst: limits.frame_units_burst }
    }
}

/// What a charge comes to.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Charged {
    /// It may be done.
    Granted,
    /// There is not enough now; it may be asked for again.
    Refused {
        /// When there will be enough, in milliseconds.
        retry_after_ms: u64,
    },
    /// Not now, and so many were refused before that the connection is to be let go.
    Exhausted,
}

/// One user's budget. Its times are microseconds since it was made.
#[derive(Debug)]
pub struct Budget {
    made_at: Instant,
    /// When all units are there again.
    full_at_us: AtomicU64,
    /// When all refusals are forgotten.
    forgiven_at_us: AtomicU64,
}

impl Budget {
    /// All units are there.
    pub fn new(now: Instant) -> Self {
        Self { made_at: now, full_at_us: AtomicU64::new(0), forgiven_at_us: AtomicU64::new(0) }
    }

    /// Takes so many units, if they are there. More than the burst are granted to a rested user, and paid off later.
    pub fn charge(&self, allowance: Allowance, units: u32, now: Instant) -> Charged {
        self.charge_at(allowance, units, self.us(now))
    }

    /// Whether nothing is owed and nothing remembered: a new budget would say the same.
    pub fn is_rested(&self, now: Instant) -> bool {
        self.is_rested_at(self.us(now))
    }

    fn us(&self, now: Instant) -> u64 {
        u64::try_from(now.saturating_duration_since(self.made_at).as_micros()).unwrap_or(u64::MAX)
    }

    fn charge_at(&self, allowance: Allowance, units: u32, now_us: u64) -> Charged {
        let Allowance { per_second, burst } = allowance;
        if per_second == 0 {
            return Charged::Granted;
        }
        let us = |units: u32| u64::from(units) * 1_000_000 / u64::from(per_second);
        let room_us = us(burst);
        let cost_us = us(units).max(1);
        let taken = self.full_at_us.fetch_update(Ordering::Relaxed, Ordering::Relaxed, |full_at| {
            let from = full_at.max(now_us);
            let is_rested = from == now_us;
            (is_rested || from + cost_us <= now_us + room_us).then_some(from + cost_us)
        });
        let Err(full_at_us) = taken else { return Charged::Granted };
        if self.refuse(now_us) {
            return Charged::Exhausted;
        }
        let free_at_us = (full_at_us + cost_us).saturating_sub(room_us).min(full_at_us);
        Charged::Refused { retry_after_ms: free_at_us.saturating_sub(now_us).div_ceil(1_000).max(1) }
    }

    /// Counts a refusal; whether they are too many.
    fn refuse(&self, now_us: u64) -> bool {
        let counted = self.forgiven_at_us.fetch_update(Ordering::Relaxed, Ordering::Relaxed, |forgiven_at| {
            let next = forgiven_at.max(now_us) + REFUSAL_LIFE_US;
            (next <= now_us + REFUSALS_MAX * REFUSAL_LIFE_US).then_some(next)
        });
        counted.is_err()
    }

    fn is_rested_at(&self, now_us: u64) -> bool {
        let (full, forgiven) = (&self.full_at_us, &self.forgiven_at_us);
        full.load(Ordering::Relaxed) <= now_us && forgiven.load(Ordering::Relaxed) <= now_us
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;
    use proptest::prelude::*;

    const ALLOWANCE: Allowance = Allowance { per_second: 100, burst: 50 };

    #[test]
    fn a_burst_then_the_rate_and_an_exact_wait() {
        let budget = Budget::new(Instant::now());
        for _ in 0..5 {
            assert_eq!(budget.charge_at(ALLOWANCE, 10, 0), Charged::Granted);
        }
        assert_eq!(budget.charge_at(ALLOWANCE, 10, 0), Charged::Refused { retry_after_ms: 100 });
        assert_eq!(budget.charge_at(ALLOWANCE, 10, 99_000), Charged::Refused { retry_after_ms: 1 });
        assert_eq!(budget.charge_at(ALLOWANCE, 10, 100_000), Charged::Granted);
    }

    #[test]
    fn what_costs_more_than_the_burst_is_granted_to_the_rested_and_paid_off() {
        let budget = Budget::new(Instant::now());
        assert_eq!(budget.charge_at(ALLOWANCE, 500, 0), Charged::Granted);
        let Charged::Refused { retry_after_ms } = budget.charge_at(ALLOWANCE, 500, 0) else {
            panic!("refused")
        };
        assert_eq!(retry_after_ms, 5_000, "once everything is paid");
        assert_eq!(budget.charge_at(ALLOWANCE, 500, 5_000_000), Charged::Granted);
    }

    #[test]
    fn whoever_goes_on_is_let_go_and_forgiven_later() {
        let budget = Budget::new(Instant::now());
        assert_eq!(budget.charge_at(ALLOWANCE, 50_000, 0), Charged::Granted);
        for _ in 0..REFUSALS_MAX {
            assert!(matches!(budget.charge_at(ALLOWANCE, 1, 0), Charged::Refused { .. }));
        }
        assert_eq!(budget.charge_at(ALLOWANCE, 1, 0), Charged::Exhausted);
        assert!(matches!(budget.charge_at(ALLOWANCE, 1, REFUSAL_LIFE_US), Charged::Refused { .. }));
        assert!(!budget.is_rested_at(499_000_000) && budget.is_rested_at(500_000_000));
    }

    #[test]
    fn whoever_owes_something_rests_until_it_is_paid_off() {
        let now = Instant::now();
        let budget = Budget::new(now);
        assert!(budget.is_rested(now));
        assert_eq!(budget.charge(ALLOWANCE, 50, now), Charged::Granted);
        for (later_ms, is_rested) in [(0, false), (499, false), (500, true)] {
            let later = now + Duration::from_millis(later_ms);
            assert_eq!(budget.is_rested(later), is_rested, "{later_ms} ms later");
        }
    }

    #[test]
    fn no_rate_is_no_limit() {
        let none = Allowance { per_second: 0, burst: 0 };
        let budget = Budget::new(Instant::now());
        assert!((0..1_000).all(|_| budget.charge_at(none, u32::MAX, 0) == Charged::Granted));
    }

    proptest! {
        /// Over any window no more than the burst, what came back meanwhile, and one dear request of a rested user;
        /// what is refused is granted when it was said to be.
        #[test]
        fn never_more_than_the_rate(
            per_second in 1_u32..10_000,
            burst in 1_u32..10_000,
            steps in prop::collection::vec((0_u64..2_000_000, 1_u32..500), 1..100),
        ) {
            let allowance = Allowance { per_second, burst };
            let (budget, mut now, mut granted) = (Budget::new(Instant::now()), 0, 0_u64);
            for (step, units) in steps {
                now += step;
                match budget.charge_at(allowance, units, now) {
                    Charged::Granted => granted += u64::from(units),
                    Charged::Refused { retry_after_ms } => {
                        let later = now + retry_after_ms * 1_000;
                        let copy = Budget::new(Instant::now());
                        copy.full_at_us.store(budget.full_at_us.load(Ordering::Relaxed), Ordering::Relaxed);
                        prop_assert_eq!(copy.charge_at(allowance, units, later), Charged::Granted);
                    }
                    Charged::Exhausted => {}
                }
                // Each charge is rounded down to whole microseconds.
                let back = now * u64::from(per_second) / 1_000_000 + 100;
                prop_assert!(granted <= u64::from(burst).max(500) + 500 + back, "{granted} by {now}");
            }
        }
    }
}
