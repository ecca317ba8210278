//! The engines of a cluster: how they are opened, made and looked at.

mod cassandra;
mod kafka;
mod postgres;
mod redis;

use ringside_message::stepwise::Stepwise;

use super::{CommitterEngine, DirectoryEngine, KeyStoreEngine, LogEngine, PresenceEngine, StoreEngine};
use crate::commands::Failure;
use crate::commands::doctor::Finding;
use crate::config::{Config, DirectoryKind, LogKind, PresenceKind, StoreKind};
use crate::init::Step;

/// Opens log and store, which must have been made.
///
/// # Errors
/// The sentence that says what to do.
pub(super) async fn pipeline(config: &Config) -> Result<(LogEngine, StoreEngine, CommitterEngine), Failure> {
    let (log, store) = (kafka::open(config).await?, cassandra::open(config).await?);
    let committer = CommitterEngine::Stepwise(Stepwise::new(log.clone(), store.clone()));
    Ok((log, store, committer))
}

/// Opens the Directory, which must have been made, and the signing keys in it.
///
/// # Errors
/// The sentence that says what to do.
pub(super) async fn directory(config: &Config) -> Result<(DirectoryEngine, KeyStoreEngine), Failure> {
    postgres::open(config).await
}

/// Presence and limits; they are connected to when they are first needed.
///
/// # Errors
/// The sentence that says what to do.
pub(super) fn presence(config: &Config) -> Result<PresenceEngine, Failure> {
    redis::open(config)
}

/// Makes what is not there: topics, keyspace and tables. It may run twice at once.
///
/// # Errors
/// The sentence that says what to do.
pub(crate) async fn make(config: &Config) -> Result<Vec<Step>, Failure> {
    let mut steps = Vec::new();
    if config.engines.log == LogKind::Kafka {
        steps.extend(kafka::make(config).await?);
    }
    if config.engines.store == StoreKind::Cassandra {
        steps.extend(cassandra::make(config).await?);
    }
    if config.engines.directory == DirectoryKind::Postgres {
        steps.extend(postgres::make(config).await?);
    }
    Ok(steps)
}

/// What [`make`] would do.
///
/// # Errors
/// An engine can't be asked.
pub(crate) async fn plan(config: &Config) -> Result<Vec<Step>, Failure> {
    let mut steps = Vec::new();
    if config.engines.log == LogKind::Kafka {
        steps.extend(kafka::plan(config).await?);
    }
    if config.engines.store == StoreKind::Cassandra {
        steps.extend(cassandra::plan(config).await?);
    }
    if config.engines.directory == DirectoryKind::Postgres {
        steps.extend(postgres::plan(config).await?);
    }
    Ok(steps)
}

/// What is right and wrong with them, each a sentence that says what to do.
pub(crate) async fn findings(config: &Config) -> Vec<Finding> {
    let mut findings = Vec::new();
    if config.engines.log == LogKind::Kafka {
        findings.extend(told(kafka::findings(config).await));
    }
    if config.engines.store == StoreKind::Cassandra {
        findings.extend(told(cassandra::findings(config).await));
    }
    if config.engines.directory == DirectoryKind::Postgres {
        findings.extend(told(postgres::findings(config).await));
    }
    if config.engines.presence == PresenceKind::Redis {
        findings.extend(told(redis::findings(config).await));
    }
    findings
}

/// An engine that can't be looked at is a finding, too.
fn told(looked: Result<Vec<Finding>, Failure>) -> Vec<Finding> {
    looked.unwrap_or_else(|error| vec![Finding { good: false, text: error.to_string() }])
}

/// Of an engine that tells its faults alone: these, or that there are none.
fn of_faults(engine: &str, faults: Vec<String>) -> Vec<Finding> {
    if faults.is_empty() {
        return vec![Finding { good: true, text: format!("{engine}: as it must be") }];
    }
    faults.into_iter().map(|text| Finding { good: false, text }).collect()
}
