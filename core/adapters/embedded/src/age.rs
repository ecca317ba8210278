//! The time by which records and rows age.
//!
//! A clock that is set ahead for long must not cost a record that is younger than its time; and a machine that was
//! switched off for days has records to apply, with the rows that decide them. So from the log's newest record on, the
//! time goes as the machine runs.

use std::sync::{Arc, OnceLock};
use std::time::Duration;

use ringside_clock::since_boot;
use ringside_types::UnixMillis;

use crate::clock::Clock;

/// The time, by a clock and by the log. A clone tells the same.
#[derive(Clone, Debug)]
pub(crate) struct Age {
    clock: Clock,
    opened: Arc<OnceLock<Opened>>,
}

/// When the log was opened.
#[derive(Debug)]
struct Opened {
    /// The time of the newest record then; `None`: there was none.
    newest: Option<UnixMillis>,
    since_boot: Duration,
}

impl Age {
    /// Until the log is [`opened`](Self::opened), nothing has any age.
    pub(crate) fn new(clock: &Clock) -> Self {
        Self { clock: clock.clone(), opened: Arc::default() }
    }

    /// The log is open; `newest`: the time of its newest record.
    pub(crate) fn opened(&self, newest: Option<UnixMillis>) {
        let newest = newest.filter(|time| time.0 > 0);
        // A log is opened once.
        let _ = self.opened.set(Opened { newest, since_boot: since_boot() });
    }

    pub(crate) fn now(&self) -> UnixMillis {
        match (&self.clock, self.opened.get()) {
            (Clock::Manual(_), _) => self.clock.now(),
            (Clock::System, Some(opened)) => opened.aged(self.clock.now(), since_boot()),
            (Clock::System, None) => UnixMillis(0),
        }
    }
}

impl Opened {
    /// The clock's time, but not more than the log has aged.
    fn aged(&self, clock: UnixMillis, since_boot: Duration) -> UnixMillis {
        let Some(newest) = self.newest else { return clock };
        let run_ms = since_boot.saturating_sub(self.since_boot).as_millis();
        clock.min(newest.plus_ms(u64::try_from(run_ms).unwrap_or(u64::MAX)))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_log_ages_as_the_machine_runs() {
        let second = Duration::from_secs(1);
        let opened = Opened { newest: Some(UnixMillis(1_000_000)), since_boot: second * 100 };
        assert_eq!(opened.aged(UnixMillis(90_000_000), second * 101), UnixMillis(1_001_000), "set ahead");
        assert_eq!(opened.aged(UnixMillis(1_000_500), second * 101), UnixMillis(1_000_500), "set back");
        let empty = Opened { newest: None, since_boot: second };
        assert_eq!(empty.aged(UnixMillis(90_000_000), second * 2), UnixMillis(90_000_000));
    }

    #[test]
    fn nothing_ages_before_the_log_is_open() {
        let age = Age::new(&Clock::System);
        assert_eq!(age.now(), UnixMillis(0));
        age.opened(Some(UnixMillis(1_000_000)));
        assert!(age.now() < UnixMillis(2_000_000), "switched off for years");
    }
}
