//! The engines of a cluster: how they are opened, made and looked at.

use std::collections::BTreeMap;

use ringside_cassandra::{CassandraStore, Credentials, Severity};
use ringside_kafka::{KafkaLog, topics};
use ringside_message::stepwise::Stepwise;

use super::{CommitterEngine, LogEngine, StoreEngine};
use crate::commands::Failure;
use crate::commands::doctor::Finding;
use crate::config::{Config, ConfigError, LogKind, StoreKind, password};
use crate::init::Step;

/// Opens log and store, which must have been made.
///
/// # Errors
/// The sentence that says what to do.
pub(super) async fn open(config: &Config) -> Result<(LogEngine, StoreEngine, CommitterEngine), Failure> {
    let log = LogEngine::Kafka(KafkaLog::open(kafka(config)?).await?);
    let store = StoreEngine::Cassandra(CassandraStore::open(cassandra(config)?).await?);
    let committer = CommitterEngine::Stepwise(Stepwise::new(log.clone(), store.clone()));
    Ok((log, store, committer))
}

/// Makes what is not there: topics, keyspace and tables. It may run twice at once.
///
/// # Errors
/// The sentence that says what to do.
pub(crate) async fn make(config: &Config) -> Result<Vec<Step>, Failure> {
    let mut steps = Vec::new();
    if config.engines.log == LogKind::Kafka {
        steps.extend(topics::init(&kafka(config)?).await?.into_iter().map(of_topics));
    }
    if config.engines.store == StoreKind::Cassandra {
        steps.extend(ringside_cassandra::init(&cassandra(config)?).await?.into_iter().map(of_tables));
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
        steps.extend(topics::plan(&kafka(config)?).await?.into_iter().map(of_topics));
    }
    if config.engines.store == StoreKind::Cassandra {
        steps.extend(ringside_cassandra::plan(&cassandra(config)?).await?.into_iter().map(of_tables));
    }
    Ok(steps)
}

/// What is right and wrong with them, each a sentence that says what to do.
pub(crate) async fn findings(config: &Config) -> Vec<Finding> {
    let mut findings = Vec::new();
    let bad = |text: String| Finding { good: false, text };
    if config.engines.log == LogKind::Kafka {
        match kafka(config) {
            Ok(kafka) => match topics::check(&kafka).await {
                Ok(faults) if faults.is_empty() => {
                    let text = format!("Kafka at {}: topics as they must be", kafka.brokers.join(", "));
                    findings.push(Finding { good: true, text });
                }
                Ok(faults) => findings.extend(faults.into_iter().map(bad)),
                Err(error) => findings.push(bad(error.to_string())),
            },
            Err(error) => findings.push(bad(error.to_string())),
        }
    }
    if config.engines.store == StoreKind::Cassandra {
        match cassandra(config) {
            Ok(cassandra) => {
                let is_good = |severity| matches!(severity, Severity::Good);
                for found in ringside_cassandra::check(&cassandra).await {
                    findings.push(Finding { good: is_good(found.severity), text: found.sentence });
                }
            }
            Err(error) => findings.push(bad(error.to_string())),
        }
    }
    findings
}

fn of_topics(step: topics::Step) -> Step {
    Step { what: step.what, is_new: step.is_new }
}

fn of_tables(step: ringside_cassandra::Step) -> Step {
    Step { what: step.what, is_new: step.is_new }
}

fn kafka(config: &Config) -> Result<ringside_kafka::Config, ConfigError> {
    let kafka = &config.kafka;
    let password = password("kafka", kafka.password.as_ref(), kafka.password_file.as_deref())?;
    let sasl = kafka.user.clone().map(|user| (user, ringside_kafka::Secret(password.unwrap_or_default())));
    Ok(ringside_kafka::Config {
        brokers: kafka.brokers.clone(),
        prefix: kafka.prefix.clone(),
        partitions: ringside_kafka::Partitions { messages: kafka.partitions, slots: kafka.slots },
        replication: kafka.replication,
        sasl,
        ..ringside_kafka::Config::default()
    })
}

fn cassandra(config: &Config) -> Result<ringside_cassandra::Config, ConfigError> {
    let cassandra = &config.cassandra;
    let password = password("cassandra", cassandra.password.as_ref(), cassandra.password_file.as_deref())?;
    let password = password.unwrap_or_default();
    Ok(ringside_cassandra::Config {
        contact_points: cassandra.nodes.clone(),
        datacenter: cassandra.datacenter.clone(),
        keyspace: cassandra.keyspace.clone(),
        replication: BTreeMap::from([(cassandra.datacenter.clone(), cassandra.replication)]),
        credentials: cassandra.user.clone().map(|user| Credentials { user, password }),
        ..ringside_cassandra::Config::default()
    })
}
