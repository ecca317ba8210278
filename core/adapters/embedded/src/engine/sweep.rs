//! Retention: records of the log that are past their time go.

use std::sync::Arc;
use std::sync::mpsc::{Receiver, RecvTimeoutError};
use std::time::Duration;

use ringside_clock::since_boot;
use ringside_ports::EngineError;
use ringside_types::UnixMillis;
use tokio::sync::{Semaphore, mpsc, oneshot};

use super::{Core, LogWork, Request, StoreWork, retention_ms, staging, unavailable};
use crate::clock::Clock;

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
pub(super) fn run(core: &Core, queue: &mpsc::Sender<Request>, room: &Arc<Semaphore>, stopped: &Receiver<()>) {
    while stopped.recv_timeout(core.config.sweep_interval) == Err(RecvTimeoutError::Timeout) {
        if let Err(error) = sweep(core, queue, room) {
            tracing::warn!(%error, "what is past its time could not be removed; it is tried again");
        }
    }
}

/// Removes what is past its time; returns how many records went.
pub(super) fn sweep(
    core: &Core,
    queue: &mpsc::Sender<Request>,
    room: &Arc<Semaphore>,
) -> Result<u64, EngineError> {
    let (before, applied) = (horizon(core), core.applied()?);
    // What was applied is durable before the records go that it was made of.
    core.persist()?;
    // Sweeping gives way: where the queue has no room now, it waits for the next time.
    let full = || unavailable("the writer's queue is full".into());
    let (answer, answered) = oneshot::channel();
    let request = Request {
        work: LogWork::Trim(before, applied),
        answer,
        _room: Arc::clone(room).try_acquire_owned().map_err(|_| full())?,
    };
    queue.try_send(request).map_err(|_| full())?;
    let mut trimmed = answered.blocking_recv().map_err(|_| super::stopped())??.trimmed;
    for log in core.logs().filter(|log| log.is_in_store() && !log.is_empty()) {
        let (topic, partition) = log.place();
        loop {
            let went = core.write(StoreWork::Trim(topic, partition, before))?.trimmed;
            trimmed += went;
            if went < staging::TRIM_RECORDS_MAX as u64 {
                break;
            }
        }
    }
    Ok(trimmed)
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
