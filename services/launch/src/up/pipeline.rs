//! The processors of all partitions, the consumers of receipts and typing, the reaper of leases, and the relay of the Directory's outbox.

use std::sync::Arc;

use ringside_application::consumer;
use ringside_channel::Relay;
use ringside_message::lease_reaper;
use ringside_message::processor::{self, Counters, ProcessorError};
use ringside_message::replies::{self, Replies};
use ringside_ports::Log as _;
use ringside_presence::signals;
use ringside_types::{PartitionId, Slot, Topic};
use tokio::sync::{Mutex, watch};
use tokio::task::JoinSet;

use super::engines::DataFolder;
use crate::commands::Failure;

/// What runs between the log and the store.
pub(crate) struct Pipeline {
    processors: Mutex<JoinSet<Result<(), ProcessorError>>>,
    /// What runs beside them until the stop, by name.
    background: Mutex<JoinSet<&'static str>>,
    stop: watch::Receiver<bool>,
    pub(super) counters: Arc<Counters>,
    pub(crate) relay: Relay,
    /// Where REST hears what its commands came to.
    pub(crate) replies: Replies,
}

impl Pipeline {
    /// Starts it. Every partition has begun before anything can be appended: records without progress are a loss.
    pub(crate) async fn start(
        folder: &DataFolder,
        stop: &watch::Receiver<bool>,
    ) -> Result<Self, ProcessorError> {
        let (log, store) = (folder.engine.log(), folder.engine.store());
        let partitions = log.partitions(Topic::MessagesSend);
        for partition in (0..partitions).map(PartitionId) {
            processor::init(partition, &log, &store).await?;
        }
        let counters = Arc::new(Counters::default());
        let mut processors = JoinSet::new();
        let committer = folder.engine.committer();
        let of_messages = consumer::all(partitions);
        let (run_log, run_store, counted) = (log.clone(), store.clone(), counters.clone());
        processors.spawn(processor::run(of_messages, run_log, run_store, committer, counted, stop.clone()));
        let mut background = JoinSet::new();
        let of_status = consumer::all(log.partitions(Topic::MessagesStatus));
        let run = signals::run(of_status, log.clone(), store.clone(), folder.directory.clone(), stop.clone());
        background.spawn(named("the consumer of receipts and typing", run));
        let reaper = lease_reaper::run(consumer::all(1), log.clone(), stop.clone());
        background.spawn(named("the reaper of dead edges' leases", reaper));
        // Edges take the slots from the first on.
        let slot = Slot(log.partitions(Topic::MessagesReceive).saturating_sub(1));
        let replies = Replies::default();
        let answers = replies::run(log.clone(), slot, replies.clone(), stop.clone());
        background.spawn(named("the reader of answers for REST", answers));
        let (relay, task) = Relay::over(folder.directory.clone(), log);
        background.spawn(named("the relay of the Directory's outbox", task.run(stop.clone())));
        let (processors, background) = (Mutex::new(processors), Mutex::new(background));
        Ok(Self { processors, background, stop: stop.clone(), counters, relay, replies })
    }

    /// Waits until a part of it has ended before it was told to; says which, and why. A panic is passed on.
    pub(super) async fn failed(&self) -> Failure {
        let mut processors = self.processors.lock().await;
        let mut background = self.background.lock().await;
        loop {
            let failure: Failure = tokio::select! {
                Some(ended) = processors.join_next() => match ended {
                    Ok(Err(error)) => error.into(),
                    Ok(Ok(())) => "a partition's processor ended by itself".into(),
                    Err(error) => std::panic::resume_unwind(error.into_panic()),
                },
                Some(ended) = background.join_next() => match ended {
                    Ok(name) => format!("{name} ended by itself").into(),
                    Err(error) => std::panic::resume_unwind(error.into_panic()),
                },
                else => return std::future::pending().await,
            };
            if !*self.stop.borrow() {
                return failure;
            }
        }
    }

    /// Waits until all processors have stopped: what they have begun is committed.
    pub(crate) async fn stopped(&self) {
        while self.processors.lock().await.join_next().await.is_some() {}
    }
}

async fn named<T>(name: &'static str, work: impl Future<Output = T>) -> &'static str {
    work.await;
    name
}
