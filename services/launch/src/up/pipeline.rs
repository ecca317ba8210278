//! The processors of all partitions, the consumers of receipts and typing, the janitor of dead edges, and the relay of the Directory's outbox.

use std::sync::Arc;

use ringside_channel::Relay;
use ringside_message::janitor;
use ringside_message::processor::{self, Counters, ProcessorError};
use ringside_ports::Log as _;
use ringside_presence::signals;
use ringside_types::{PartitionId, Topic};
use tokio::sync::{Mutex, watch};
use tokio::task::JoinSet;

use super::engines::DataFolder;

/// What runs between the log and the store.
pub(crate) struct Pipeline {
    processors: Mutex<JoinSet<Result<(), ProcessorError>>>,
    pub(super) counters: Arc<Counters>,
    pub(crate) relay: Relay,
}

impl Pipeline {
    /// Starts it. Every partition is opened before anything can be appended: records without progress are a loss.
    pub(crate) async fn start(
        folder: &DataFolder,
        stop: &watch::Receiver<bool>,
    ) -> Result<Self, ProcessorError> {
        let (log, store) = (folder.engine.log(), folder.engine.store());
        let partitions = log.partitions(Topic::MessagesSend);
        for partition in (0..partitions).map(PartitionId) {
            processor::open(partition, &log, &store).await?;
        }
        let counters = Arc::new(Counters::default());
        let mut processors = JoinSet::new();
        for partition in (0..partitions).map(PartitionId) {
            let committer = folder.engine.committer();
            let run = processor::run(
                partition,
                log.clone(),
                store.clone(),
                committer,
                counters.clone(),
                stop.clone(),
            );
            processors.spawn(run);
        }
        for partition in (0..log.partitions(Topic::MessagesStatus)).map(PartitionId) {
            let directory = folder.directory.clone();
            tokio::spawn(signals::run(partition, log.clone(), store.clone(), directory, stop.clone()));
        }
        tokio::spawn(janitor::run(log.clone(), stop.clone()));
        let (relay, task) = Relay::over(folder.directory.clone(), log);
        tokio::spawn(task.run(stop.clone()));
        Ok(Self { processors: Mutex::new(processors), counters, relay })
    }

    /// Waits until a processor has stopped for good; says why.
    pub(super) async fn failed(&self) -> ProcessorError {
        let mut processors = self.processors.lock().await;
        while let Some(ended) = processors.join_next().await {
            match ended {
                Ok(Err(error)) => return error,
                Ok(Ok(())) => {}
                Err(error) => std::panic::resume_unwind(error.into_panic()),
            }
        }
        std::future::pending().await
    }

    /// Waits until all processors have stopped: what they have begun is committed.
    pub(crate) async fn stopped(&self) {
        while self.processors.lock().await.join_next().await.is_some() {}
    }
}
