//! The log in Kafka.

use ringside_kafka::{Config as KafkaConfig, KafkaLog, Partitions, Secret, topics};

use super::of_faults;
use crate::commands::Failure;
use crate::commands::doctor::Finding;
use crate::config::{Config, ConfigError, secret};
use crate::engines::LogEngine;
use crate::init::Step;

pub(super) async fn open(config: &Config) -> Result<LogEngine, Failure> {
    Ok(LogEngine::Kafka(KafkaLog::open(read(config)?).await?))
}

pub(super) async fn make(config: &Config) -> Result<Vec<Step>, Failure> {
    Ok(topics::init(&read(config)?).await?.into_iter().map(step).collect())
}

pub(super) async fn plan(config: &Config) -> Result<Vec<Step>, Failure> {
    Ok(topics::plan(&read(config)?).await?.into_iter().map(step).collect())
}

pub(super) async fn findings(config: &Config) -> Result<Vec<Finding>, Failure> {
    let config = read(config)?;
    Ok(of_faults(&format!("Kafka at {}", config.brokers.join(", ")), topics::check(&config).await?))
}

fn step(step: topics::Step) -> Step {
    Step { what: step.what, is_new: step.is_new }
}

fn read(config: &Config) -> Result<KafkaConfig, ConfigError> {
    let kafka = &config.kafka;
    let password = secret("kafka.password", kafka.password.as_ref(), kafka.password_file.as_deref())?;
    Ok(KafkaConfig {
        brokers: kafka.brokers.clone(),
        prefix: kafka.prefix.clone(),
        partitions: Partitions { messages: kafka.partitions, slots: kafka.slots },
        replication: kafka.replication,
        sasl: kafka.user.clone().map(|user| (user, Secret(password.unwrap_or_default()))),
        ..KafkaConfig::default()
    })
}
