//! Presence: who is there, how far everybody has read, and the consumers of receipts and typing.

use ringside_application::consumer;
use ringside_ports::Log as _;
use ringside_presence::{PresenceViews, Receipts, signals};
use ringside_types::Topic;
use tokio::sync::watch;

use super::tasks::Tasks;
use crate::commands::Failure;
use crate::engines::{DirectoryEngine, Engines, PresenceEngine, StoreEngine};

/// How far everybody has read.
pub(crate) type ReceiptService = Receipts<StoreEngine, DirectoryEngine>;
pub(crate) type WhereaboutsService = PresenceViews<PresenceEngine, DirectoryEngine>;

pub(crate) struct Presence {
    receipts: ReceiptService,
    presence_views: WhereaboutsService,
    limits: PresenceEngine,
    tasks: Tasks,
}

impl Presence {
    pub(crate) fn start(engines: &Engines, stop: &watch::Receiver<bool>) -> Self {
        let Engines { log, store, directory, presence, .. } = engines;
        let mut tasks = Tasks::new(stop);
        let assigned = consumer::all(log.partitions(Topic::MessagesStatus));
        let run = signals::run(assigned, log.clone(), store.clone(), directory.clone(), stop.clone());
        tasks.spawn_fallible("the consumer of receipts and typing", run);
        Self {
            receipts: Receipts::new(store.clone(), directory.clone()),
            presence_views: PresenceViews::new(presence.clone(), directory.clone()),
            limits: presence.clone(),
            tasks,
        }
    }

    pub(crate) fn receipts(&self) -> ReceiptService {
        self.receipts.clone()
    }

    pub(crate) fn presence_views(&self) -> WhereaboutsService {
        self.presence_views.clone()
    }

    /// What requests are counted with.
    pub(crate) fn limits(&self) -> PresenceEngine {
        self.limits.clone()
    }

    pub(crate) async fn failed(&self) -> Failure {
        self.tasks.failed().await
    }

    pub(crate) async fn stopped(&self) {
        self.tasks.ended_in_time().await;
    }
}
