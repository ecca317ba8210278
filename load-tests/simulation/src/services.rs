//! The processes behind the edges: processors, the reaper of leases, the outbox's relay.

use std::time::Duration;

use ringside_application::consumer::{Consumer, Handler, HandlerError, Rules, Step};
use ringside_channel::{Relay, RelayTask};
use ringside_message::lease_reaper::LeaseReaper;
use ringside_message::processor::Processor;
use ringside_message::stepwise::Stepwise;
use ringside_ports::Log;
use ringside_ports::log::{Commit, ReadLimit};
use ringside_types::{PartitionId, Topic};

use crate::directory::SimulatedDirectory;
use crate::log::SimulatedLog;
use crate::scheduler::{ProcessId, Scheduler};
use crate::store::SimulatedStore;

const READ_LIMIT: ReadLimit = ReadLimit { records: 2_048, bytes: 4 * 1024 * 1024 };
const READ_WAIT: Duration = Duration::from_secs(1);
const PROCESSOR: Rules =
    Rules { commit_every: 0, pause: Duration::from_millis(50), pause_max: Duration::from_secs(5) };
const REAPER: Rules =
    Rules { commit_every: 256, pause: Duration::from_secs(5), pause_max: Duration::from_secs(5) };
/// Between two looks into the outbox.
const RELAY_PAUSE_US: std::ops::Range<u64> = 5_000..300_000;

/// Applies the records of a partition.
pub async fn processor(log: SimulatedLog, store: SimulatedStore, partition: PartitionId) {
    let committer = Stepwise::new(log.clone(), store.clone());
    let handler = Processor::new(log.clone(), store, committer, std::sync::Arc::default());
    consume(&log, &handler, "message", Topic::MessagesSend, partition, PROCESSOR).await;
}

/// Strikes off edges that have fallen silent.
pub async fn lease_reaper(log: SimulatedLog) {
    let handler = LeaseReaper { log: log.clone() };
    consume(&log, &handler, "janitor", Topic::Control, PartitionId(0), REAPER).await;
}

/// Takes changes of channels to the log.
pub async fn relay(log: SimulatedLog, directory: SimulatedDirectory) {
    let scheduler = log.network.scheduler.clone();
    let (_relay, mut task): (Relay, RelayTask<_, _>) = Relay::over(directory, log);
    loop {
        // What fails is tried again.
        let _ = task.round().await;
        scheduler.sleep(scheduler.draw_us(RELAY_PAUSE_US)).await;
    }
}

/// The product's consumer and handler, on the simulation's clock.
async fn consume<H: Handler>(
    log: &SimulatedLog,
    handler: &H,
    group: &'static str,
    topic: Topic,
    partition: PartitionId,
    rules: Rules,
) {
    let scheduler: &Scheduler = &log.network.scheduler;
    let process: ProcessId = log.network.process;
    let mut machine = Consumer::new(rules);
    let (mut state, mut records) = (None, Vec::new());
    loop {
        let failed = match (machine.poll(), &mut state) {
            (Step::Handle, Some(known)) => match handler.handle(known, std::mem::take(&mut records)).await {
                Ok(resume_from) => {
                    machine.handled(resume_from);
                    None
                }
                Err(error) => Some(error),
            },
            (Step::Read(from), Some(_)) => {
                match log.read(topic, partition, from, READ_LIMIT, READ_WAIT).await {
                    Ok(read) => {
                        records = read;
                        machine.read(records.last().map(|record| record.offset));
                        None
                    }
                    Err(error) => Some(HandlerError::Retry(error.into())),
                }
            }
            (Step::Commit(offset), Some(_)) => {
                let commit = Commit { offset, metadata: bytes::Bytes::new() };
                match log.commit(group, topic, partition, commit).await {
                    Ok(()) => {
                        machine.committed();
                        None
                    }
                    Err(error) => Some(HandlerError::Retry(error.into())),
                }
            }
            (Step::Wait(until), _) => {
                scheduler.sleep_until(scheduler.since_start(until)).await;
                machine.handle_timeout(scheduler.instant());
                None
            }
            (Step::Open, _) | (_, None) => match handler.open(partition).await {
                Ok((opened, from)) => {
                    let lane = scheduler.lane(process);
                    scheduler
                        .note(lane, lane, None, || format!("begins at {from}, as process {}", process.0));
                    state = Some(opened);
                    machine.opened(from);
                    None
                }
                Err(error) => Some(error),
            },
        };
        match failed {
            None => {}
            Some(HandlerError::Retry(_)) => {
                (state, records) = (None, Vec::new());
                machine.failed(scheduler.instant());
            }
            Some(HandlerError::Fatal(error)) => panic!("{group} {partition} ended for good: {error}"),
        }
    }
}
