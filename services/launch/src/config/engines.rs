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
    /// Accounts, channels and members, and the keys that sign access tokens: `embedded`, or `postgres`.
    pub directory: DirectoryKind,
    /// Who is connected, and what is counted for limits: `embedded`, or `redis`.
    pub presence: PresenceKind,
}

impl Default for EnginesConfig {
    fn default() -> Self {
        Self {
            log: LogKind::Embedded,
            store: StoreKind::Embedded,
            directory: DirectoryKind::Embedded,
            presence: PresenceKind::Embedded,
        }
    }
}

/// Where accounts and channels are.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum DirectoryKind {
    Embedded,
    Postgres,
}

/// Where presence and limits are.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum PresenceKind {
    Embedded,
    Redis,
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
    key.ends_with("password") || key.ends_with("master_key")
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

/// Accounts, channels and signing keys in PostgreSQL.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize, Serialize)]
#[serde(default, deny_unknown_fields)]
pub struct PostgresConfig {
    /// Servers, as `host:port`, in any order: the one that is the primary is found, after a failover too.
    pub hosts: Vec<String>,
    /// The database.
    pub database: String,
    /// The role to sign in as.
    pub user: String,
    /// Its password.
    pub password: Option<Secret>,
    /// A file that holds the password, instead of `password`.
    pub password_file: Option<PathBuf>,
    /// Connections of this process at the most.
    pub connections: u16,
    /// Certificates (PEM) of who may vouch for the servers; turns TLS on.
    pub ca_file: Option<PathBuf>,
    /// What seals the private halves of signing keys: 32 random bytes in base64, such as `openssl rand -base64 32` makes.
    pub master_key: Option<Secret>,
    /// A file that holds the master key, instead of `master_key`.
    pub master_key_file: Option<PathBuf>,
}

impl Default for PostgresConfig {
    fn default() -> Self {
        Self {
            hosts: vec!["127.0.0.1:5432".into()],
            database: "ringside".into(),
            user: "ringside".into(),
            password: None,
            password_file: None,
            connections: 16,
            ca_file: None,
            master_key: None,
            master_key_file: None,
        }
    }
}

/// Presence and limits in Redis.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize, Serialize)]
#[serde(default, deny_unknown_fields)]
pub struct RedisConfig {
    /// `single`, or `cluster` for a Redis Cluster.
    pub mode: RedisMode,
    /// `redis://host:port`, or `rediss://host:port` for TLS: one of a single server, some of a cluster's.
    pub addresses: Vec<String>,
    /// What every key begins with, where several installations share a server.
    pub prefix: String,
    /// The user name, if servers ask for one.
    pub user: Option<String>,
    /// The password.
    pub password: Option<Secret>,
    /// A file that holds the password, instead of `password`.
    pub password_file: Option<PathBuf>,
    /// Certificates (PEM) of who may vouch for the servers, instead of those of the system.
    pub ca_file: Option<PathBuf>,
}

impl Default for RedisConfig {
    fn default() -> Self {
        Self {
            mode: RedisMode::Single,
            addresses: vec!["redis://127.0.0.1:6379".into()],
            prefix: "ringside".into(),
            user: None,
            password: None,
            password_file: None,
            ca_file: None,
        }
    }
}

/// Whether there is one Redis server, or a Redis Cluster.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum RedisMode {
    Single,
    Cluster,
}

/// The secret that is set, or that its file holds. `key` is where it is set, in `ringside.toml`.
///
/// # Errors
/// Both are set, or the file can't be read.
pub(crate) fn secret(
    key: &str,
    set: Option<&Secret>,
    file: Option<&Path>,
) -> Result<Option<String>, ConfigError> {
    let refuse = |cause: String| ConfigError::Value { from: format!("{key}_file"), cause };
    match (set, file) {
        (Some(_), Some(_)) => Err(refuse(format!("there is {key} as well; set one of them"))),
        (Some(Secret(set)), None) => Ok(Some(set.clone())),
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
    let EnginesConfig { log, store, .. } = config.engines;
    let is_embedded = (log == LogKind::Embedded, store == StoreKind::Embedded);
    if !cfg!(feature = "cluster") && config.engines != EnginesConfig::default() {
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
    let super::Config { kafka, cassandra, postgres, redis, .. } = config;
    for (key, set, file) in [
        ("kafka.password", &kafka.password, &kafka.password_file),
        ("cassandra.password", &cassandra.password, &cassandra.password_file),
        ("postgres.password", &postgres.password, &postgres.password_file),
        ("postgres.master_key", &postgres.master_key, &postgres.master_key_file),
        ("redis.password", &redis.password, &redis.password_file),
    ] {
        secret(key, set.as_ref(), file.as_deref())?;
    }
    if postgres.connections == 0 {
        return refuse("postgres.connections", "at least 1");
    }
    if config.kafka.replication == 0 || config.cassandra.replication == 0 {
        return refuse("kafka.replication and cassandra.replication", "at least 1");
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::super::{read, shown};

    fn set<'a>(variables: &'a [(&'a str, &'a str)]) -> impl Fn(&str) -> Option<String> + 'a {
        |name| variables.iter().find(|(set, _)| *set == name).map(|(_, value)| (*value).to_owned())
    }

    fn refused(variables: &[(&str, &str)]) -> String {
        read(None, set(variables), &[]).expect_err("refused").to_string()
    }

    #[test]
    fn secrets_are_not_shown() {
        let secrets = [
            ("RINGSIDE_KAFKA_PASSWORD", "hidden one"),
            ("RINGSIDE_CASSANDRA_PASSWORD", "hidden two"),
            ("RINGSIDE_POSTGRES_PASSWORD", "hidden three"),
            ("RINGSIDE_POSTGRES_MASTER_KEY", "hidden four"),
            ("RINGSIDE_REDIS_PASSWORD", "hidden five"),
        ];
        let config = read(None, set(&secrets), &[]).expect("valid");
        for text in [shown(&config), format!("{config:?}")] {
            assert!(!text.contains("hidden"), "{text}");
        }
        assert_eq!(shown(&config).matches("set, and not shown").count(), secrets.len());
    }

    #[test]
    fn a_secret_has_one_place() {
        let file = tempfile::NamedTempFile::new().expect("a temporary file");
        let path = file.path().to_str().expect("text");
        let both = [("RINGSIDE_REDIS_PASSWORD", "one"), ("RINGSIDE_REDIS_PASSWORD_FILE", path)];
        assert!(refused(&both).contains("redis.password as well"));
        let gone = refused(&[("RINGSIDE_KAFKA_PASSWORD_FILE", "/no/such/file")]);
        assert!(gone.contains("kafka.password_file") && gone.contains("/no/such/file"), "{gone}");
    }

    #[cfg(not(feature = "cluster"))]
    #[test]
    fn engines_that_are_not_built_in_are_refused() {
        let told = refused(&[("RINGSIDE_ENGINES_PRESENCE", "redis")]);
        assert!(told.contains("--features cluster"), "{told}");
    }

    #[cfg(feature = "cluster")]
    #[test]
    fn log_and_store_go_together() {
        for variable in [("RINGSIDE_ENGINES_LOG", "kafka"), ("RINGSIDE_ENGINES_STORE", "cassandra")] {
            let told = refused(&[variable]);
            assert!(told.contains("the store follows the log"), "{told}");
        }
        let both = [("RINGSIDE_ENGINES_LOG", "kafka"), ("RINGSIDE_ENGINES_STORE", "cassandra")];
        assert!(read(None, set(&both), &[]).is_ok());
    }
}
