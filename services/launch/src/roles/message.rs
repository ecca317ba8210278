//! Messages: the processors of all partitions, the reaper of dead edges' leases, and the service with its reader of answers.

use std::sync::Arc;
use std::sync::atomic::Ordering;

use ringside_application::consumer;
use ringside_message::lease_reaper;
use ringside_message::messages::Messages;
use ringside_message::processor::{self, Counters};
use ringside_message::replies::{self, Replies};
use ringside_ports::{EngineError, Log as _};
use ringside_types::{PartitionId, Slot, Topic};
use tokio::runtime::Handle;
use tokio::sync::watch;

use super::tasks::Tasks;
use crate::commands::Failure;
use crate::config::Config;
use crate::engines::{DirectoryEngine, Engines, LogEngine, PresenceEngine, StoreEngine};

/// Sends and reads messages.
pub(crate) type Service = Messages<LogEngine, StoreEngine, DirectoryEngine, PresenceEngine>;

pub(crate) struct Message {
    service: Service,
    processors: Tasks,
    /// What runs beside them.
    others: Tasks,
    work: Work,
}

/// What the processors do, and have to do.
#[derive(Clone)]
pub(crate) struct Work {
    pub(crate) counters: Arc<Counters>,
    log: LogEngine,
}

impl Message {
    /// Starts it, with the processors on the runtime `pipeline`. Every partition has its first progress already.
    pub(crate) fn start(
        engines: &Engines,
        config: &Config,
        pipeline: &Handle,
        stop: &watch::Receiver<bool>,
    ) -> Self {
        let Engines { log, store, committer, directory, presence, .. } = engines;
        let counters = Arc::new(Counters::default());
        let mut processors = Tasks::on(pipeline, stop);
        let run = processor::run(
            consumer::all(log.partitions(Topic::MessagesSend)),
            log.clone(),
            store.clone(),
            committer.clone(),
            counters.clone(),
            stop.clone(),
        );
        processors.spawn_fallible("a partition's processor", run);
        let mut others = Tasks::new(stop);
        let reaper = lease_reaper::run(consumer::all(1), log.clone(), stop.clone());
        others.spawn_fallible("the reaper of dead edges' leases", reaper);
        // Edges take the slots from the first on.
        let slot = Slot(log.partitions(Topic::MessagesReceive).saturating_sub(1));
        let replies = Replies::default();
        let answers = replies::run(log.clone(), slot, replies.clone(), stop.clone());
        others.spawn("the reader of answers for REST", answers);
        let (directory, presence, limits) = (directory.clone(), presence.clone(), config.limits.clone());
        let service = Messages::new(log.clone(), store.clone(), directory, presence, limits, replies);
        Self { service, processors, others, work: Work { counters, log: log.clone() } }
    }

    pub(crate) fn service(&self) -> Service {
        self.service.clone()
    }

    pub(crate) fn work(&self) -> Work {
        self.work.clone()
    }

    pub(crate) async fn failed(&self) -> Failure {
        tokio::select! {
            failure = self.processors.failed() => failure,
            failure = self.others.failed() => failure,
        }
    }

    /// Waits until all processors have stopped: what they have begun is committed.
    pub(crate) async fn stopped(&self) {
        self.processors.ended().await;
        self.others.ended_in_time().await;
    }
}

impl Work {
    /// Records of the log that no processor has committed.
    pub(crate) async fn waiting(&self) -> Result<u64, EngineError> {
        // The position first: it never passes an end that is read later.
        let position = self.counters.position.load(Ordering::Relaxed);
        let mut end: u64 = 0;
        for partition in (0..self.log.partitions(Topic::MessagesSend)).map(PartitionId) {
            end += self.log.bounds(Topic::MessagesSend, partition).await?.end.0;
        }
        Ok(end.saturating_sub(position))
    }
}
