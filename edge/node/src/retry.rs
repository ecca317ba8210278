//! Work of which one piece is under way at a time, and which is tried again until it succeeds.

use std::time::{Duration, Instant};

use ringside_ports::EngineError;

/// The pause before work that failed is tried again.
pub(crate) const RETRY_PAUSE: Duration = Duration::from_millis(200);

/// One piece of work.
#[derive(Debug, Default)]
pub(crate) enum Retried<T> {
    /// There is none.
    #[default]
    Idle,
    /// It is being done. It comes back with what became of it.
    UnderWay,
    /// It failed, and is due again.
    Waiting(T, Instant),
}

impl<T> Retried<T> {
    pub(crate) fn is_idle(&self) -> bool {
        matches!(self, Self::Idle)
    }

    /// New work, where there is none.
    pub(crate) fn begin(&mut self) {
        debug_assert!(self.is_idle(), "one at a time");
        *self = Self::UnderWay;
    }

    /// The work that is to be tried again now.
    pub(crate) fn poll(&mut self, now: Instant) -> Option<T> {
        match self {
            Self::Waiting(_, due) if *due <= now => match std::mem::replace(self, Self::UnderWay) {
                Self::Waiting(work, _) => Some(work),
                _ => None,
            },
            _ => None,
        }
    }

    pub(crate) fn done(&mut self) {
        *self = Self::Idle;
    }

    pub(crate) fn failed(&mut self, work: T, now: Instant) {
        *self = Self::Waiting(work, now + RETRY_PAUSE);
    }

    /// The log has the records, or has not confirmed them: they come back then, as nobody else repeats them.
    pub(crate) fn handle_appended(
        &mut self,
        now: Instant,
        records: T,
        appended: Result<(), EngineError>,
        what: &'static str,
    ) {
        match appended {
            Ok(()) => self.done(),
            Err(error) => {
                tracing::warn!(%error, "the log did not confirm {what}; trying again");
                self.failed(records, now);
            }
        }
    }

    /// The work that failed and waits for its time: nobody will do it any more.
    pub(crate) fn take_waiting(&mut self) -> Option<T> {
        match std::mem::take(self) {
            Self::Waiting(work, _) => Some(work),
            Self::Idle | Self::UnderWay => None,
        }
    }

    pub(crate) fn next_due(&self) -> Option<Instant> {
        match self {
            Self::Waiting(_, due) => Some(*due),
            _ => None,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn work_that_failed_comes_back_after_the_pause_until_it_is_done() {
        let (mut work, now) = (Retried::default(), Instant::now());
        work.begin();
        assert!(work.poll(now).is_none() && !work.is_idle());
        for round in 1..=3 {
            let begun = now + RETRY_PAUSE * round;
            work.failed(round, begun);
            assert_eq!(work.next_due(), Some(begun + RETRY_PAUSE));
            assert_eq!(work.poll(begun), None, "too early");
            assert_eq!(work.poll(begun + RETRY_PAUSE), Some(round));
            assert_eq!(work.next_due(), None);
        }
        work.done();
        assert!(work.is_idle());
    }
}
