//! Channels: the service, and the relay of the Directory's outbox.

use ringside_channel::{Conversations, Relay};
use tokio::sync::watch;

use super::tasks::Tasks;
use crate::commands::Failure;
use crate::engines::{DirectoryEngine, Engines, LogEngine};

/// Channels and their members.
pub(crate) type Service = Conversations<DirectoryEngine, LogEngine>;

pub(crate) struct Channel {
    service: Service,
    tasks: Tasks,
}

impl Channel {
    pub(crate) fn start(engines: &Engines, stop: &watch::Receiver<bool>) -> Self {
        let Engines { directory, log, .. } = engines;
        let (relay, task) = Relay::over(directory.clone(), log.clone());
        let mut tasks = Tasks::new(stop);
        tasks.spawn("the relay of the Directory's outbox", task.run(stop.clone()));
        Self { service: Conversations::new(directory.clone(), log.clone(), relay), tasks }
    }

    pub(crate) fn service(&self) -> Service {
        self.service.clone()
    }

    pub(crate) async fn failed(&self) -> Failure {
        self.tasks.failed().await
    }

    pub(crate) async fn stopped(&self) {
        self.tasks.ended_in_time().await;
    }
}
