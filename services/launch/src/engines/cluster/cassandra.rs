//! Messages in Cassandra or ScyllaDB.

use std::collections::BTreeMap;

use ringside_cassandra::{CassandraStore, Config as CassandraConfig, Credentials, Severity};

use crate::commands::Failure;
use crate::commands::doctor::Finding;
use crate::config::{Config, ConfigError, secret};
use crate::engines::StoreEngine;
use crate::init::Step;

pub(super) async fn open(config: &Config) -> Result<StoreEngine, Failure> {
    Ok(StoreEngine::Cassandra(CassandraStore::open(read(config)?).await?))
}

pub(super) async fn make(config: &Config) -> Result<Vec<Step>, Failure> {
    Ok(ringside_cassandra::init(&read(config)?).await?.into_iter().map(step).collect())
}

pub(super) async fn plan(config: &Config) -> Result<Vec<Step>, Failure> {
    Ok(ringside_cassandra::plan(&read(config)?).await?.into_iter().map(step).collect())
}

pub(super) async fn findings(config: &Config) -> Result<Vec<Finding>, Failure> {
    let found = ringside_cassandra::check(&read(config)?).await;
    let is_good = |severity| matches!(severity, Severity::Good);
    let of_store =
        |found: ringside_cassandra::Finding| Finding { good: is_good(found.severity), text: found.sentence };
    Ok(found.into_iter().map(of_store).collect())
}

fn step(step: ringside_cassandra::Step) -> Step {
    Step { what: step.what, is_new: step.is_new }
}

fn read(config: &Config) -> Result<CassandraConfig, ConfigError> {
    let cassandra = &config.cassandra;
    let file = cassandra.password_file.as_deref();
    let password = secret("cassandra.password", cassandra.password.as_ref(), file)?.unwrap_or_default();
    Ok(CassandraConfig {
        contact_points: cassandra.nodes.clone(),
        datacenter: cassandra.datacenter.clone(),
        keyspace: cassandra.keyspace.clone(),
        replication: BTreeMap::from([(cassandra.datacenter.clone(), cassandra.replication)]),
        credentials: cassandra.user.clone().map(|user| Credentials { user, password }),
        ..CassandraConfig::default()
    })
}
