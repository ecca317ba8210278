//! Which engines there are, and where those of a cluster are found.

use std::fmt;
use std::path::{Path, PathBuf};

use serde::{Deserialize, Serialize};

use super::ConfigError;

/// Where everything is kept. What is embedded lives in the data folder; the rest is shared by all processes of a cluster.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize, Serialize)]
#[serde(default, deny_unknown_fields)]
pub struct EnginesConfig {
    /// The log: `embedded`, or `kafka`. With `kafka`, the store is in `cassandra`.
    pub log: LogKind,
    /// The message store: `embedded`, or `cassandra` (ScyllaDB too). With `cassandra`, the log is in `kafka`.
    pub store: StoreKind,
}

impl Default for EnginesConfig {
    fn default() -> Self {
        Self { log: LogKind::Embedded, store: StoreKind::Embedded }
    }
}

/// Where the log is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum LogKind {
    Embedded,
    Kafka,
}

/// Where messages are.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum StoreKind {
    Embedded,
    Cassandra,
}

/// A password. It is never printed.
#[derive(Clone, PartialEq, Eq, Deserialize, Serialize)]
#[serde(transparent)]
pub struct Secret(String);

impl fmt::Debug for Secret {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Secret")
    }
}

/// Whether a key holds what is never printed.
pub(super) fn is_secret(key: &str) -> bool {
    key.ends_with("password")
}

/// The log in Kafka.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize, Serialize)]
#[serde(default, deny_unknown_fields)]
pub struct KafkaConfig {
    /// Brokers to begin with, as `host:port`; they name the others.
    pub brokers: Vec<String>,
    /// What the names of topics and consumer groups begin with, where several installations share a cluster.
    pub prefix: String,
    /// Partitions of `messages.send` when `ringside init` makes it, at most 1024. They can't be changed later.
    pub partitions: u16,
    /// Partitions of `messages.receive` when `ringside init` makes it: edges and message processes at once, at most 1024.
    pub slots: u16,
    /// Replicas of each topic. With 3 or more, two must confirm each record; fewer can lose what was acknowledged.
    pub replication: u16,
    /// The user name of SASL (`PLAIN`), if brokers ask for one.
    pub user: Option<String>,
    /// Their password.
    pub password: Option<Secret>,
    /// A file that holds the password, instead of `password`.
    pub password_file: Option<PathBuf>,
}

impl Default for KafkaConfig {
    fn default() -> Self {
        Self {
            brokers: vec!["127.0.0.1:9092".into()],
            prefix: String::new(),
            partitions: 64,
            slots: 64,
            replication: 3,
            user: None,
            password: None,
            password_file: None,
        }
    }
}

/// The message store in Cassandra or ScyllaDB.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize, Serialize)]
#[serde(default, deny_unknown_fields)]
pub struct CassandraConfig {
    /// Nodes to begin with, as `host:port`; they name the others.
    pub nodes: Vec<String>,
    /// The keyspace.
    pub keyspace: String,
    /// The data centre that this process is in.
    pub datacenter: String,
    /// Replicas in this data centre, when `ringside init` makes the keyspace.
    pub replication: u8,
    /// The user name, if nodes ask for one.
    pub user: Option<String>,
    /// Their password.
    pub password: Option<Secret>,
    /// A file that holds the password, instead of `password`.
    pub password_file: Option<PathBuf>,
}

impl Default for CassandraConfig {
    fn default() -> Self {
        Self {
            nodes: vec!["127.0.0.1:9042".into()],
            keyspace: "ringside".into(),
            datacenter: "datacenter1".into(),
            replication: 3,
            user: None,
            password: None,
            password_file: None,
        }
    }
}

/// The password that is set, or that the file holds. `table` is where both are, in `ringside.toml`.
///
/// # Errors
/// Both are set, or the file can't be read.
pub(crate) fn password(
    table: &str,
    password: Option<&Secret>,
    file: Option<&Path>,
) -> Result<Option<String>, ConfigError> {
    let refuse = |cause: String| ConfigError::Value { from: format!("{table}.password_file"), cause };
    match (password, file) {
        (Some(_), Some(_)) => Err(refuse(format!("there is {table}.password as well; set one of them"))),
        (Some(Secret(password)), None) => Ok(Some(password.clone())),
        (None, Some(file)) => match std::fs::read_to_string(file) {
            Ok(text) => Ok(Some(text.trim_end_matches(['\n', '\r']).to_owned())),
            Err(error) => Err(refuse(format!("{} can't be read: {error}", file.display()))),
        },
        (None, None) => Ok(None),
    }
}

/// Engines that can't be put together, or that this binary doesn't have.
///
/// # Errors
/// The sentence that says what to change.
pub(super) fn check(config: &super::Config) -> Result<(), ConfigError> {
    let refuse = |from: &str, cause: &str| Err(ConfigError::Value { from: from.into(), cause: cause.into() });
    let EnginesConfig { log, store } = config.engines;
    let is_embedded = (log == LogKind::Embedded, store == StoreKind::Embedded);
    if !cfg!(feature = "cluster") && is_embedded != (true, true) {
        return refuse(
            "engines",
            "this binary has the embedded engines alone; build it with `--features cluster`",
        );
    }
    if is_embedded.0 != is_embedded.1 {
        return refuse(
            "engines.log and engines.store",
            "the store follows the log: set `kafka` and `cassandra`, or leave both embedded",
        );
    }
    let partitions = [("kafka.partitions", config.kafka.partitions), ("kafka.slots", config.kafka.slots)];
    for (key, count) in partitions {
        if !(1..=ringside_types::limits::PARTITIONS_MAX).contains(&count) {
            return refuse(key, "from 1 to 1024");
        }
    }
    let super::Config { kafka, cassandra, .. } = config;
    password("kafka", kafka.password.as_ref(), kafka.password_file.as_deref())?;
    password("cassandra", cassandra.password.as_ref(), cassandra.password_file.as_deref())?;
    if config.kafka.replication == 0 || config.cassandra.replication == 0 {
        return refuse("kafka.replication and cassandra.replication", "at least 1");
    }
    Ok(())
}
