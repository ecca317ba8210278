//! Retention: records of the log that are past their time go.

use std::sync::Arc;
use std::sync::mpsc::{Receiver, RecvTimeoutError};
use std::time::Duration;

use ringside_ports::EngineError;
use ringside_types::UnixMillis;
use tokio::sync::{Semaphore, mpsc, oneshot};

use super::{Core, LogWork, Request, StoreWork, retention_ms, staging, unavailable};

/// The pause between two parts of what is removed from the store.
const TRIM_PAUSE: Duration = Duration::from_millis(2);

/// Records appended before this may go.
fn horizon(core: &Core) -> UnixMillis {
    UnixMillis(core.tables.age.now().0.saturating_sub(retention_ms(&core.config)))
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
            // Commits come first.
            std::thread::sleep(TRIM_PAUSE);
        }
    }
    Ok(trimmed)
}
