//! The time of day, held against the time since boot.
//!
//! Much here ends by the clock: records of the log, idempotency keys, leases, tokens. A clock that is set far ahead by
//! mistake would end all of them at once, and setting it back would not bring them back. So a step ahead that the time
//! since boot does not show is believed only after it has lasted [`DOUBT`]; until then the time goes on from where it
//! was. Steps back are believed at once: what must not go back takes the maximum with what it had.

use std::sync::{Mutex, PoisonError};
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use ringside_types::{BootTime, UnixMillis};
use rustix::time::{ClockId, clock_gettime};

use crate::simulated;

/// A step ahead of at most this is believed at once: services that keep the time make such.
const STEP_MAX: Duration = Duration::from_secs(60);
/// A larger one must last this long.
const DOUBT: Duration = Duration::from_secs(600);

/// The time of day, of this process.
pub fn now() -> UnixMillis {
    if let Some(reading) = simulated::reading() {
        return reading.wall;
    }
    static CLOCK: Mutex<Steady> = Mutex::new(Steady::NEW);
    let wall = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
    // Nothing is half done where it could panic.
    let told = CLOCK.lock().unwrap_or_else(PoisonError::into_inner).tell(wall, since_boot());
    UnixMillis(u64::try_from(told.as_millis()).unwrap_or(u64::MAX))
}

/// Time since boot, that in which the machine was suspended included (`CLOCK_BOOTTIME`, clock_gettime(2)).
pub fn since_boot() -> Duration {
    if let Some(reading) = simulated::reading() {
        return reading.since_boot;
    }
    let time = clock_gettime(ClockId::Boottime);
    Duration::new(time.tv_sec.unsigned_abs(), u32::try_from(time.tv_nsec).unwrap_or(0))
}

/// The instant now, by the time since boot.
pub fn boot_time() -> BootTime {
    BootTime(since_boot())
}

/// What was believed last, and since when the clock has said something else.
#[derive(Debug)]
struct Steady {
    believed: Option<Reading>,
    ahead_since: Option<Duration>,
}

#[derive(Clone, Copy, Debug)]
struct Reading {
    wall: Duration,
    since_boot: Duration,
}

impl Steady {
    const NEW: Self = Self { believed: None, ahead_since: None };

    fn tell(&mut self, wall: Duration, since_boot: Duration) -> Duration {
        if let Some(before) = self.believed {
            let expected = before.wall + since_boot.saturating_sub(before.since_boot);
            if wall > expected + STEP_MAX {
                let since = *self.ahead_since.get_or_insert(since_boot);
                if since_boot.saturating_sub(since) < DOUBT {
                    return expected;
                }
            }
        }
        self.ahead_since = None;
        self.believed = Some(Reading { wall, since_boot });
        wall
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    const DAY: Duration = Duration::from_secs(24 * 3_600);
    const SECOND: Duration = Duration::from_secs(1);

    /// What is told at each of these pairs of wall clock and time since boot, in seconds.
    fn told(readings: &[(u64, u64)]) -> Vec<u64> {
        let mut steady = Steady::NEW;
        let tell = |(wall, boot): &(u64, u64)| {
            steady.tell(Duration::from_secs(*wall), Duration::from_secs(*boot)).as_secs()
        };
        readings.iter().map(tell).collect()
    }

    #[test]
    fn a_step_ahead_is_believed_once_it_has_lasted() {
        assert_eq!(
            told(&[(1_000, 0), (90_000, 1), (90_599, 600), (90_600, 601), (90_700, 701)]),
            [1_000, 1_001, 1_600, 90_600, 90_700]
        );
    }

    #[test]
    fn one_that_is_taken_back_never_was() {
        assert_eq!(
            told(&[(1_000, 0), (90_000, 1), (1_300, 300), (90_301, 301), (90_700, 700)]),
            [1_000, 1_001, 1_300, 1_301, 1_700]
        );
    }

    #[test]
    fn sleep_small_steps_and_steps_back_are_believed_at_once() {
        assert_eq!(told(&[(1_000, 0), (90_000, 89_000)]), [1_000, 90_000], "the machine slept");
        assert_eq!(told(&[(1_000, 0), (1_061, 1)]), [1_000, 1_061]);
        assert_eq!(told(&[(1_000, 0), (10, 1), (11, 2)]), [1_000, 10, 11]);
    }

    proptest! {
        /// Whatever the clock says, within ten minutes the time told gains less than the largest small step a reading.
        #[test]
        fn no_jump_within_the_doubt(walls in prop::collection::vec(0..10 * DAY.as_secs(), 1..50)) {
            let mut steady = Steady::NEW;
            let mut before = steady.tell(DAY, Duration::ZERO);
            for (number, wall) in walls.iter().enumerate() {
                let now = steady.tell(Duration::from_secs(*wall), SECOND * (number as u32 + 1));
                prop_assert!(now <= before + SECOND + STEP_MAX);
                before = now;
            }
        }
    }

    #[test]
    fn the_process_has_a_time() {
        let wall = SystemTime::now().duration_since(UNIX_EPOCH).expect("after 1970").as_millis();
        assert!(u128::from(now().0).abs_diff(wall) < 60_000);
        assert!(since_boot() > Duration::ZERO);
    }
}
