//! Which key signs when, when a new one is due, and when an old one goes: from the times at which they were made.

use ringside_types::UnixMillis;
use ringside_types::limits::ACCESS_TOKEN_LIFE_MAX_S;

/// A new key is shown for so long before it signs: every edge has it then, and every reader of the JWK set that asks at
/// least once a minute.
pub const SHOWN_FIRST_MS: u64 = 60_000;
/// Clocks may be so far apart.
const SKEW_MS: u64 = 5 * 60 * 1_000;
/// A key verifies for so long after its successor was made.
const KEPT_MS: u64 = SHOWN_FIRST_MS + ACCESS_TOKEN_LIFE_MAX_S * 1_000 + SKEW_MS;
const DAY_MS: u64 = 24 * 60 * 60 * 1_000;

/// The index of the key that signs a token issued at this time: the newest that has been shown for long enough.
pub(super) fn signer(made: &[UnixMillis], issued_at: UnixMillis) -> usize {
    let is_known = |made: &UnixMillis| made.plus_ms(SHOWN_FIRST_MS) <= issued_at;
    // Where all are new, nobody knows an older one.
    made.iter().rposition(is_known).unwrap_or(made.len().saturating_sub(1))
}

/// Whether the newest key is older than `days`; 0: none ever is.
pub(super) fn is_due(made: &[UnixMillis], days: u64, now: UnixMillis) -> bool {
    let newest = made.last().copied().unwrap_or_default();
    days > 0 && newest.plus_ms(days * DAY_MS) <= now
}

/// How many of the oldest keys nobody needs any more: their successors were made long enough ago.
pub(super) fn spent(made: &[UnixMillis], now: UnixMillis) -> usize {
    let is_needed = |pair: &[UnixMillis]| pair[1].plus_ms(KEPT_MS) > now;
    made.windows(2).position(is_needed).unwrap_or(made.len().saturating_sub(1))
}

/// When the next key counts as made: a clock that stepped back must not make one that is older than the one before.
pub(super) fn next_made_at(made: &[UnixMillis], now: UnixMillis) -> UnixMillis {
    made.last().map_or(now, |last| now.max(last.plus_ms(1)))
}

#[cfg(test)]
mod tests {
    use super::*;

    const NOW: UnixMillis = UnixMillis(1_800_000_000_000);

    fn before(ms: &[u64]) -> Vec<UnixMillis> {
        ms.iter().map(|ms| UnixMillis(NOW.0 - ms)).collect()
    }

    #[test]
    fn the_newest_that_everybody_knows_signs() {
        for (made, signs) in [
            (&[90 * DAY_MS, 2 * SHOWN_FIRST_MS, SHOWN_FIRST_MS][..], 2),
            (&[90 * DAY_MS, 2 * SHOWN_FIRST_MS, SHOWN_FIRST_MS - 1], 1),
            (&[5, 0], 1),
            (&[0], 0),
        ] {
            assert_eq!(signer(&before(made), NOW), signs, "{made:?}");
        }
    }

    #[test]
    fn a_key_is_spent_when_its_last_token_must_have_expired() {
        for (made, count) in [
            (&[90 * DAY_MS][..], 0),
            (&[90 * DAY_MS, KEPT_MS - 1], 0),
            (&[90 * DAY_MS, KEPT_MS], 1),
            (&[90 * DAY_MS, 60 * DAY_MS, 30 * DAY_MS], 2),
            (&[], 0),
        ] {
            assert_eq!(spent(&before(made), NOW), count, "{made:?}");
        }
    }

    #[test]
    fn the_next_is_due_by_the_newest() {
        let made = before(&[60 * DAY_MS, 30 * DAY_MS]);
        assert!(is_due(&made, 30, NOW) && !is_due(&made, 31, NOW) && !is_due(&made, 0, NOW));
        assert_eq!(next_made_at(&made, UnixMillis(5)), made[1].plus_ms(1));
        assert_eq!(next_made_at(&made, NOW), NOW);
    }
}
