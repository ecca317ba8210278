//! Retention: records of the log that are past their time go, in bounded batches.

use std::sync::Arc;
use std::sync::mpsc::{Receiver, RecvTimeoutError};

use ringside_types::UnixMillis;
use tokio::sync::{Semaphore, mpsc, oneshot};

use super::{Core, Request, Work, retention_ms, staging};
use crate::log::PartitionLog;

/// Records appended before this may go.
pub(super) fn horizon(core: &Core) -> UnixMillis {
    UnixMillis(core.config.clock.now().0.saturating_sub(retention_ms(&core.config)))
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
