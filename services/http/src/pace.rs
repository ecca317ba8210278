//! How fast requests are answered that show no good token, from one address: what is refused, or asked by nobody in
//! particular, must not cost those who are at work. Such answers are delayed, never dropped.

use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

/// Each such answer takes this much of its address's time: 500 a second.
const INTERVAL: Duration = Duration::from_millis(2);
/// So much may be taken at once, after a pause: 1,000 answers.
const BURST: Duration = Duration::from_secs(2);
/// No answer is delayed for longer.
const DELAY_MAX: Duration = Duration::from_secs(1);

const _: () = assert!(INTERVAL.as_millis() < BURST.as_millis());

/// The time that has been taken, as the generic cell rate algorithm (ITU-T I.371) counts it.
#[derive(Debug, Default)]
pub(crate) struct Pace {
    taken_until_us: AtomicU64,
}

impl Pace {
    /// Takes the time of one answer; how long it is to be delayed. `now` is counted from any fixed instant.
    pub(crate) fn delay(&self, now: Duration) -> Duration {
        let us = |time: Duration| time.as_micros() as u64;
        let (now, burst, longest) = (us(now), us(BURST), us(DELAY_MAX));
        let next = |taken: u64| Some((taken.max(now) + us(INTERVAL)).min(now + burst + longest));
        let before = self.taken_until_us.fetch_update(Ordering::Relaxed, Ordering::Relaxed, next);
        let taken = before.unwrap_or_default().max(now);
        Duration::from_micros((taken - now).saturating_sub(burst))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_burst_then_the_rate() {
        let pace = Pace::default();
        let start = Duration::from_secs(100);
        for _ in 0..=1_000 {
            assert_eq!(pace.delay(start), Duration::ZERO);
        }
        assert_eq!(pace.delay(start), INTERVAL);
        assert_eq!(pace.delay(start), 2 * INTERVAL);
        assert_eq!(pace.delay(start + Duration::from_secs(1)), Duration::ZERO, "time comes back");
    }

    #[test]
    fn nobody_waits_longer_than_the_limit() {
        let pace = Pace::default();
        let longest = (0..10_000).map(|_| pace.delay(Duration::from_secs(1))).max();
        assert_eq!(longest, Some(DELAY_MAX));
        assert_eq!(
            pace.delay(Duration::from_secs(60)),
            Duration::ZERO,
            "and nothing is held against them for ever"
        );
    }
}
