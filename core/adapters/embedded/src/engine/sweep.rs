//! Retention: records of the log that are past their time go, in bounded batches.

use std::sync::Arc;
use std::sync::mpsc::{Receiver, RecvTimeoutError};
use std::time::Duration;

use ringside_clock::since_boot;
use ringside_types::UnixMillis;
use tokio::sync::{Semaphore, mpsc, oneshot};

use super::{Core, Request, Work, retention_ms, staging};
use crate::clock::Clock;
use crate::log::PartitionLog;

/// When the log was opened. Since then it has aged as much as the machine has run, whatever the clock says: a clock that
/// is set ahead for long must not cost a record that is younger than its time.
pub(super) struct Opened {
    /// The time of the newest record then; `None`: there was none.
    newest: Option<UnixMillis>,
    since_boot: Duration,
}

impl Opened {
    pub(super) fn now(newest: Option<UnixMillis>) -> Self {
        Self { newest: newest.filter(|time| time.0 > 0), since_boot: since_boot() }
    }

    /// The clock's time, but not more than the log has aged.
    fn aged(&self, clock: UnixMillis, since_boot: Duration) -> UnixMillis {
        let Some(newest) = self.newest else { return clock };
        let run_ms = since_boot.saturating_sub(self.since_boot).as_millis();
        clock.min(newest.plus_ms(u64::try_from(run_ms).unwrap_or(u64::MAX)))
    }
}

/// Records appended before this may go.
pub(super) fn horizon(core: &Core) -> UnixMillis {
    let clock = core.config.clock.now();
    let now = match core.config.clock {
        Clock::System => core.opened.aged(clock, since_boot()),
        Clock::Manual(_) => clock,
    };
    UnixMillis(now.0.saturating_sub(retention_ms(&core.config)))
}

/// Sweeps every `sweep_interval` until the other end of `stopped` goes.
pub(super) fn run(
    core: &Arc<Core>,
    queue: &mpsc::Sender<Request>,
    room: &Arc<Semaphore>,
    stopped: &Receiver<()>,
) {
    while stopped.recv_timeout(core.config.sweep_interval) == Err(RecvTimeoutError::Timeout) {
        for log in core.logs() {
            while trim(core, log, queue, room) == Some(staging::TRIM_RECORDS_MAX) {}
        }
    }
}

/// One batch; `None`: refused, or there is nothing to do. The next sweep tries again.
fn trim(
    core: &Core,
    log: &PartitionLog,
    queue: &mpsc::Sender<Request>,
    room: &Arc<Semaphore>,
) -> Option<usize> {
    if log.is_empty() {
        return None;
    }
    let (topic, partition) = log.place();
    let (answer, answered) = oneshot::channel();
    // Sweeping gives way: where the queue has no room now, it waits for the next time.
    let room = Arc::clone(room).try_acquire_owned().ok()?;
    let work = Work::Trim(topic, partition, horizon(core));
    queue.try_send(Request { work, answer, _room: room }).ok()?;
    answered.blocking_recv().ok()?.ok().map(|done| done.trimmed)
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
}
