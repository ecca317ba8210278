//! Pings, silence, and the end of a token: what a connection does when its timer runs out.

use std::time::{Duration, Instant};

use ringside_types::UnixMillis;

/// How far an interval strays from the configured one, either way, in hundredths.
pub const JITTER_PERCENT: u32 = 10;

/// Who is asked whether they live has so long to say something.
pub const PROBE_DEADLINE: Duration = Duration::from_secs(1);

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Due {
    /// Nothing: it was too early.
    Nothing,
    Ping,
    /// The peer has been silent for two intervals, or after a probe: close.
    Silent,
    /// The token has expired: close with 4201.
    Expired,
}

#[derive(Clone, Copy, Debug)]
pub struct Heartbeat {
    interval: Duration,
    silent_at: Instant,
    ping_at: Instant,
    expires_at: UnixMillis,
}

impl Heartbeat {
    /// `seed` spreads connections that came together, over 10 % of the interval either way.
    pub fn new(interval: Duration, seed: u64, now: Instant, expires_at: UnixMillis) -> Self {
        let spread = (seed % u64::from(2 * JITTER_PERCENT + 1)) as u32;
        let interval = interval * (100 - JITTER_PERCENT + spread) / 100;
        Self { interval, silent_at: now + interval * 2, ping_at: now + interval, expires_at }
    }

    /// Bytes came from the peer.
    pub fn heard(&mut self, now: Instant) {
        self.silent_at = now + self.interval * 2;
    }

    /// The peer is asked whether it lives, and has until [`PROBE_DEADLINE`] to say anything.
    pub fn probe(&mut self, now: Instant) {
        self.silent_at = self.silent_at.min(now + PROBE_DEADLINE);
    }

    /// Another token of the session: it lengthens the connection's life, and never shortens it. Returns when that ends.
    pub fn renew(&mut self, expires_at: UnixMillis) -> UnixMillis {
        self.expires_at = self.expires_at.max(expires_at);
        self.expires_at
    }

    /// What is due at `now`, which is `time` by the wall clock.
    pub fn due(&mut self, now: Instant, time: UnixMillis) -> Due {
        if time >= self.expires_at {
            return Due::Expired;
        }
        if now >= self.silent_at {
            return Due::Silent;
        }
        if now >= self.ping_at {
            self.ping_at = now + self.interval;
            return Due::Ping;
        }
        Due::Nothing
    }

    /// When to look again.
    pub fn next(&self, now: Instant, time: UnixMillis) -> Duration {
        let expiry = Duration::from_millis(self.expires_at.since(time));
        self.ping_at.min(self.silent_at).saturating_duration_since(now).min(expiry)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const INTERVAL: Duration = Duration::from_secs(25);
    const TIME: UnixMillis = UnixMillis(0);

    #[test]
    fn intervals_are_spread_by_a_tenth() {
        let now = Instant::now();
        for seed in 0..1_000 {
            let next = Heartbeat::new(INTERVAL, seed, now, UnixMillis(u64::MAX)).next(now, TIME);
            assert!((22_500..=27_500).contains(&next.as_millis()), "{next:?}");
        }
    }

    #[test]
    fn a_silent_peer_is_closed_after_two_intervals() {
        let now = Instant::now();
        let mut heartbeat = Heartbeat::new(INTERVAL, 10, now, UnixMillis(u64::MAX));
        assert_eq!(heartbeat.due(now + INTERVAL, TIME), Due::Ping);
        assert_eq!(heartbeat.due(now + INTERVAL, TIME), Due::Nothing);
        heartbeat.heard(now + INTERVAL);
        assert_eq!(heartbeat.due(now + INTERVAL * 2, TIME), Due::Ping);
        assert_eq!(heartbeat.due(now + INTERVAL * 3, TIME), Due::Silent);
    }

    #[test]
    fn who_is_asked_answers_within_a_second() {
        let now = Instant::now();
        let later = now + PROBE_DEADLINE;
        let asked = || {
            let mut heartbeat = Heartbeat::new(INTERVAL, 10, now, UnixMillis(u64::MAX));
            heartbeat.probe(now);
            assert_eq!(heartbeat.next(now, TIME), PROBE_DEADLINE);
            assert_eq!(heartbeat.due(later - Duration::from_millis(1), TIME), Due::Nothing);
            heartbeat
        };
        assert_eq!(asked().due(later, TIME), Due::Silent);
        let mut heard = asked();
        heard.heard(now);
        assert_eq!(heard.due(later, TIME), Due::Nothing);
        let mut asked_twice = asked();
        asked_twice.probe(now + PROBE_DEADLINE / 2);
        assert_eq!(asked_twice.due(later, TIME), Due::Silent, "a second question gives no second chance");
    }

    #[test]
    fn a_token_ends_a_connection_unless_it_is_renewed() {
        let now = Instant::now();
        let mut heartbeat = Heartbeat::new(INTERVAL, 10, now, UnixMillis(5_000));
        assert_eq!(heartbeat.next(now, TIME), Duration::from_secs(5));
        assert_eq!(heartbeat.renew(UnixMillis(9_000)), UnixMillis(9_000));
        assert_eq!(heartbeat.renew(UnixMillis(7_000)), UnixMillis(9_000), "an older token changes nothing");
        assert_eq!(heartbeat.due(now, UnixMillis(8_999)), Due::Nothing);
        assert_eq!(heartbeat.due(now, UnixMillis(9_000)), Due::Expired);
    }
}
