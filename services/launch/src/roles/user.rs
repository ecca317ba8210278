//! Accounts, sessions, and the keys that sign access tokens.

use ringside_clock::now;
use ringside_ports::keys::KeyStoreError;
use ringside_user::{KeyRotation, Users};
use tokio::sync::watch;

use super::tasks::Tasks;
use crate::commands::Failure;
use crate::config::Config;
use crate::engines::{DirectoryEngine, Engines, KeyStoreEngine, LogEngine, PresenceEngine};

pub(crate) type Service = Users<DirectoryEngine, PresenceEngine, LogEngine>;
/// The keys that sign access tokens.
pub(crate) type Keys = KeyRotation<KeyStoreEngine, LogEngine>;

pub(crate) struct User {
    service: Service,
    keys: Keys,
    tasks: Tasks,
}

impl User {
    /// Starts it.
    ///
    /// # Errors
    /// The keys can't be read.
    pub(crate) async fn start(
        engines: &Engines,
        config: &Config,
        stop: &watch::Receiver<bool>,
    ) -> Result<Self, KeyStoreError> {
        let (service, keys) = open(engines, config).await?;
        let mut tasks = Tasks::new(stop);
        tasks.spawn("the rotation of signing keys", keys.clone().run(config.signing_key_days, stop.clone()));
        Ok(Self { service, keys, tasks })
    }

    pub(crate) fn service(&self) -> Service {
        self.service.clone()
    }

    pub(crate) fn keys(&self) -> Keys {
        self.keys.clone()
    }

    pub(crate) async fn failed(&self) -> Failure {
        self.tasks.failed().await
    }

    pub(crate) async fn stopped(&self) {
        self.tasks.ended_in_time().await;
    }
}

/// The service and its keys, with nothing that runs by itself: for commands on a stopped server.
///
/// # Errors
/// The keys can't be read.
pub(crate) async fn open(engines: &Engines, config: &Config) -> Result<(Service, Keys), KeyStoreError> {
    let Engines { directory, presence, log, keys, .. } = engines;
    let keys = KeyRotation::open(keys.clone(), log.clone(), now()).await?;
    let (directory, presence, limits) = (directory.clone(), presence.clone(), config.limits.clone());
    let service = Users::new(directory, presence, log.clone(), keys.keys().clone(), limits)
        .with_registration(config.registration.into());
    Ok((service, keys))
}
