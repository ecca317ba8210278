//! When the server dies, and for how long: decided from the seed.

use std::time::Duration;

use rand::rngs::SmallRng;
use rand::{RngExt, SeedableRng};

/// The longest that the server stays away between a kill and its restart.
const MAX_AWAY_MS: u64 = 1500;
/// No kill before this part of the sending time: clients have to be at it.
const FIRST_KILL_AT: f64 = 0.05;

/// A SIGKILL and the time until the restart.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Kill {
    /// After the start of sending.
    pub at: Duration,
    pub away: Duration,
}

/// The kills of a run, in order.
pub(crate) fn kills(seed: u64, count: u32, duration: Duration) -> Vec<Kill> {
    // Another stream than those of the clients.
    let mut random = SmallRng::seed_from_u64(seed ^ 0x6b69_6c6c);
    let mut kills: Vec<Kill> = (0..count)
        .map(|_| Kill {
            at: duration.mul_f64(random.random_range(FIRST_KILL_AT..1.0)),
            away: Duration::from_millis(random.random_range(0..MAX_AWAY_MS)),
        })
        .collect();
    kills.sort_unstable_by_key(|kill| kill.at);
    kills
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn repeats_by_seed_and_lies_within_the_run() {
        let duration = Duration::from_secs(30);
        let first = kills(7, 5, duration);
        assert_eq!(first, kills(7, 5, duration));
        assert_ne!(first, kills(8, 5, duration));
        assert!(
            first.windows(2).all(|pair| pair[0].at <= pair[1].at)
                && first.iter().all(|kill| kill.at < duration)
        );
    }
}
