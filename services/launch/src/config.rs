//! The configuration: defaults, then `ringside.toml`, then the environment, then flags; the later counts.

mod engines;
mod error;
mod keys;

use std::net::{IpAddr, Ipv4Addr, SocketAddr};
use std::path::{Path, PathBuf};

use ringside_types::Limits;
use ringside_types::limits::MESSAGE_BYTES_CEILING;
use serde::{Deserialize, Serialize};
use toml::{Table, Value};

use crate::roles::Role;
#[cfg(feature = "cluster")]
pub(crate) use engines::secret;
pub use engines::{
    CassandraConfig, DirectoryKind, EnginesConfig, KafkaConfig, LogKind, PostgresConfig, PresenceKind,
    RedisConfig, RedisMode, Secret, StoreKind,
};
pub use error::ConfigError;
use keys::{KEYS, Kind, environment_name, is_variable, nearest, nearest_variable};

/// The file that is read where no other is named.
pub const FILE: &str = "ringside.toml";
/// Shards of one process at the most.
pub const SHARDS_MAX: usize = 256;
/// Connections of one process at the most.
pub const CONNECTIONS_MAX: u32 = 1 << 22;
/// A drain may take so long at the most, in seconds.
pub const DRAIN_WINDOW_MAX_S: u64 = 600;

/// Bytes of a file of the audit log at the least: some entries.
pub const AUDIT_FILE_BYTES_MIN: u64 = 4_096;
/// Files of the audit log at the most.
pub const AUDIT_FILES_MAX: u32 = 1_000;
/// A key signs for so many days at the most, unless it signs for ever.
pub const SIGNING_KEY_DAYS_MAX: u64 = 3_650;

/// All that an operator may set. Everything has a default. The fields' documentation is also what
/// `docs/configuration.md` says of their keys (`tests/configuration.rs`).
#[derive(Clone, Debug, PartialEq, Eq, Deserialize, Serialize)]
#[serde(default, deny_unknown_fields)]
pub struct Config {
    /// The data folder. It is made if it does not exist; only its owner may read it.
    pub data_dir: PathBuf,
    /// What `ringside run` starts: `edge`, `api`, `message`, `user`, `channel`, `presence`. `ringside up` starts all.
    pub roles: Vec<Role>,
    /// Where the REST API listens. The web client is at `/`, and `/ws` answers here too.
    pub api_addr: SocketAddr,
    /// Where the edge listens for WebSocket connections, at `/ws`.
    pub edge_addr: SocketAddr,
    /// Where the admin port listens: `/status` for a browser, `/health`, `/ready` and `/metrics`. Keep it private.
    pub admin_addr: SocketAddr,
    /// Host names that the admin port answers to, besides `localhost` and its own address.
    pub admin_names: Vec<String>,
    /// Shards of the edge, at most 256; 0: one per core.
    pub shards: usize,
    /// Most WebSocket connections of this process, at most 4194304; 0: as many as `RLIMIT_NOFILE` lets one ring of each
    /// shard hold.
    pub max_connections: u32,
    /// How long connections may take to leave after SIGTERM, in seconds, at most 600.
    pub drain_window_s: u64,
    /// The certificate chain, a PEM file. Together with `tls_key` it turns TLS on, for the API and the edge.
    pub tls_cert: Option<PathBuf>,
    /// The certificate's private key, a PEM file.
    pub tls_key: Option<PathBuf>,
    /// Addresses of reverse proxies whose `X-Forwarded-For`, `X-Forwarded-Host` and `X-Forwarded-Proto` are believed.
    pub trusted_proxies: Vec<IpAddr>,
    /// Origins whose pages may open a WebSocket, besides the API's own.
    pub allowed_origins: Vec<String>,
    /// The address of the edge that clients are given, such as `wss://chat.example.org/ws`. If it is not set, it follows
    /// from the name and port by which a client reached the API.
    pub edge_url: Option<String>,
    /// Who may make an account: `open` (everyone), `invitation` (whoever has one from `ringside admin invite`) or `closed`
    /// (nobody; `ringside admin users create` makes accounts).
    pub registration: Registration,
    /// How the edge talks to the kernel: `auto` (io_uring where it is allowed, else polling), `uring` (io_uring, or the
    /// server does not start) or `poll` (epoll).
    pub backend: Backend,
    /// How often the server pings a connection, in milliseconds, from 1000 to 600000.
    pub heartbeat_interval_ms: u64,
    /// After how many days a new key signs access tokens, at most 3650; 0: only `ringside admin keys rotate` changes it.
    pub signing_key_days: u64,
    /// A folder in which the edge writes down what it takes in, from each start on, so that `ringside-sim --replay` can take
    /// it in again. It holds messages, and tokens that are still good. The last three starts are kept.
    pub recording_dir: Option<PathBuf>,
    /// So many bytes are written down from one start on at the most; then the recording is over.
    pub recording_bytes: u64,
    /// The record of who administered, signed in or was refused.
    pub audit: AuditConfig,
    /// What users are held to.
    pub limits: Limits,
    /// Where everything is kept.
    pub engines: EnginesConfig,
    /// The log in Kafka.
    pub kafka: KafkaConfig,
    /// The message store in Cassandra or ScyllaDB.
    pub cassandra: CassandraConfig,
    /// Accounts, channels and signing keys in PostgreSQL.
    pub postgres: PostgresConfig,
    /// Presence and limits in Redis.
    pub redis: RedisConfig,
}

/// How much of the audit log is kept.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize, Serialize)]
#[serde(default, deny_unknown_fields)]
pub struct AuditConfig {
    /// Size in bytes at which a file is full and the next one is begun, at least 4096.
    pub file_bytes: u64,
    /// How many files are kept, the current one included, at most 1000; 0: nothing is recorded.
    pub files: u32,
}

impl Default for AuditConfig {
    fn default() -> Self {
        Self { file_bytes: 16 * 1024 * 1024, files: 10 }
    }
}

impl Default for Config {
    fn default() -> Self {
        let local = |port| SocketAddr::from((Ipv4Addr::LOCALHOST, port));
        Self {
            data_dir: "ringside-data".into(),
            roles: Role::ALL.into(),
            api_addr: local(8080),
            edge_addr: local(8081),
            admin_addr: local(8082),
            admin_names: Vec::new(),
            shards: 0,
            max_connections: 0,
            drain_window_s: 20,
            tls_cert: None,
            tls_key: None,
            trusted_proxies: Vec::new(),
            allowed_origins: Vec::new(),
            edge_url: None,
            registration: Registration::Open,
            backend: Backend::Auto,
            heartbeat_interval_ms: 25_000,
            signing_key_days: 30,
            recording_dir: None,
            recording_bytes: 256 * 1024 * 1024,
            audit: AuditConfig::default(),
            limits: Limits::default(),
            engines: EnginesConfig::default(),
            kafka: KafkaConfig::default(),
            cassandra: CassandraConfig::default(),
            postgres: PostgresConfig::default(),
            redis: RedisConfig::default(),
        }
    }
}

/// Who may make an account.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Registration {
    /// Everyone.
    Open,
    /// Whoever has an invitation from `ringside admin invite`.
    Invitation,
    /// Nobody; `ringside admin users create` makes accounts.
    Closed,
}

impl From<Registration> for ringside_user::RegistrationMode {
    fn from(registration: Registration) -> Self {
        match registration {
            Registration::Open => Self::Open,
            Registration::Invitation => Self::Invitation,
            Registration::Closed => Self::Closed,
        }
    }
}

/// How the edge speaks to the kernel.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Backend {
    /// io_uring where the kernel allows it, else polling.
    Auto,
    /// io_uring, or no start.
    Uring,
    /// epoll.
    Poll,
}

impl From<Backend> for ringside_reactor::Backend {
    fn from(backend: Backend) -> Self {
        match backend {
            Backend::Auto => Self::Auto,
            Backend::Uring => Self::Uring,
            Backend::Poll => Self::Poll,
        }
    }
}

impl Config {
    /// Origins that browsers may connect from: the API's own, given where it listens, and those that are allowed.
    pub fn origins(&self, api: SocketAddr) -> Vec<String> {
        let scheme = if self.tls_cert.is_some() { "https" } else { "http" };
        let hosts = ["127.0.0.1".to_owned(), "localhost".to_owned(), bracketed(api.ip())];
        let own = hosts.into_iter().map(|host| format!("{scheme}://{host}:{}", api.port()));
        own.chain(self.allowed_origins.iter().cloned()).collect()
    }
}

fn bracketed(address: IpAddr) -> String {
    match address {
        IpAddr::V4(address) => address.to_string(),
        IpAddr::V6(address) => format!("[{address}]"),
    }
}

/// Reads the configuration. `file`: the named one, which must be there; otherwise [`FILE`], if it is there.
/// `environment` and `flags` are pairs of name and text; flags are named by their keys.
///
/// # Errors
/// See [`ConfigError`]: each says what to change.
pub fn read(
    file: Option<&Path>,
    environment: impl Fn(&str) -> Option<String>,
    flags: &[(&'static str, String)],
) -> Result<Config, ConfigError> {
    let mut table = read_file(file)?;
    refuse_unknown(&table, "")?;
    for (key, kind) in KEYS {
        let name = environment_name(key);
        if let Some(text) = environment(&name) {
            let value = value_of(&text, kind, &name)?;
            set(&mut table, key, value);
        }
    }
    for (key, text) in flags {
        let kind = KEYS.iter().find(|(known, _)| known == key).map_or(Kind::Text, |(_, kind)| *kind);
        let value = value_of(text, kind, &format!("--{}", key.replace('_', "-")))?;
        set(&mut table, key, value);
    }
    let config: Config = table.try_into().map_err(|cause: toml::de::Error| ConfigError::Value {
        from: "configuration".into(),
        cause: cause.to_string(),
    })?;
    check(&config)?;
    Ok(config)
}

/// Refuses a variable `RINGSIDE_…` that means nothing: a limit that was misspelt would not be in force.
///
/// # Errors
/// [`ConfigError::UnknownVariable`].
pub fn refuse_unknown_variables(names: impl Iterator<Item = String>) -> Result<(), ConfigError> {
    let mut own = names.filter(|name| name.starts_with("RINGSIDE_"));
    match own.find(|name| !is_variable(name)) {
        Some(name) => Err(ConfigError::UnknownVariable { nearest: nearest_variable(&name), name }),
        None => Ok(()),
    }
}

/// The configuration as a file that could be read again: every key, with a comment in place of what is not set.
pub fn shown(config: &Config) -> String {
    let set = Table::try_from(config).expect("a configuration is a table");
    let (mut text, mut table) = (String::new(), "");
    for (key, _) in KEYS {
        let (outer, name) = key.split_once('.').unwrap_or(("", key));
        if outer != table {
            text += &format!("\n[{outer}]\n");
            table = outer;
        }
        let values = if outer.is_empty() { Some(&set) } else { set.get(outer).and_then(Value::as_table) };
        text += &match values.and_then(|values| values.get(name)) {
            Some(_) if engines::is_secret(name) => format!("# {name} = \"\" # set, and not shown\n"),
            Some(value) => format!("{name} = {value}\n"),
            None => format!("# {name} = \"\" # not set\n"),
        };
    }
    text
}

fn read_file(named: Option<&Path>) -> Result<Table, ConfigError> {
    let path = named.unwrap_or(Path::new(FILE));
    let text = match std::fs::read_to_string(path) {
        Ok(text) => text,
        Err(cause) if cause.kind() == std::io::ErrorKind::NotFound && named.is_none() => {
            return Ok(Table::new());
        }
        Err(cause) => return Err(ConfigError::Unreadable { path: path.into(), cause }),
    };
    text.parse().map_err(|cause| ConfigError::Syntax { path: path.into(), cause })
}

fn refuse_unknown(table: &Table, prefix: &str) -> Result<(), ConfigError> {
    for (name, value) in table {
        let key = format!("{prefix}{name}");
        let is_table = KEYS.iter().any(|(known, _)| known.starts_with(&format!("{key}.")));
        match value {
            Value::Table(inner) if is_table => refuse_unknown(inner, &format!("{key}."))?,
            _ if KEYS.iter().any(|(known, _)| *known == key) => {}
            _ => return Err(ConfigError::UnknownKey { nearest: nearest(&key), key }),
        }
    }
    Ok(())
}

fn value_of(text: &str, kind: Kind, from: &str) -> Result<Value, ConfigError> {
    match kind {
        Kind::Text => Ok(Value::String(text.into())),
        Kind::List => {
            let items = text.split(',').map(str::trim).filter(|item| !item.is_empty());
            Ok(Value::Array(items.map(|item| Value::String(item.into())).collect()))
        }
        Kind::Number => text.parse().map(Value::Integer).map_err(|_| ConfigError::Value {
            from: from.into(),
            cause: format!("`{text}` is not a whole number"),
        }),
    }
}

fn set(table: &mut Table, key: &str, value: Value) {
    match key.split_once('.') {
        None => drop(table.insert(key.into(), value)),
        Some((outer, inner)) => {
            let outer = table.entry(outer).or_insert_with(|| Value::Table(Table::new()));
            if let Value::Table(outer) = outer {
                outer.insert(inner.into(), value);
            }
        }
    }
}

fn check(config: &Config) -> Result<(), ConfigError> {
    let refuse = |from: &str, cause: &str| Err(ConfigError::Value { from: from.into(), cause: cause.into() });
    if config.roles.is_empty() {
        return refuse("roles", "at least one of edge, api, message, user, channel, presence");
    }
    if config.shards > SHARDS_MAX {
        return refuse("shards", "at most 256; 0 is one per core");
    }
    if config.max_connections > CONNECTIONS_MAX {
        return refuse("max_connections", "at most 4194304; 0 is as many as RLIMIT_NOFILE allows");
    }
    if config.drain_window_s > DRAIN_WINDOW_MAX_S {
        return refuse("drain_window_s", "at most 600");
    }
    if config.tls_cert.is_some() != config.tls_key.is_some() {
        return refuse("tls_cert and tls_key", "one needs the other");
    }
    if config.edge_url.as_deref().is_some_and(|url| !is_edge_url(url)) {
        return refuse("edge_url", "an address like wss://chat.example.org/ws");
    }
    if !(1_000..=600_000).contains(&config.heartbeat_interval_ms) {
        return refuse("heartbeat_interval_ms", "from 1000 to 600000");
    }
    if config.signing_key_days > SIGNING_KEY_DAYS_MAX {
        return refuse("signing_key_days", "at most 3650; 0 is never");
    }
    if config.audit.file_bytes < AUDIT_FILE_BYTES_MIN {
        return refuse("audit.file_bytes", "at least 4096");
    }
    if config.audit.files > AUDIT_FILES_MAX {
        return refuse("audit.files", "at most 1000; 0 records nothing");
    }
    if config.limits.message_bytes != 0
        && !(1_024..=MESSAGE_BYTES_CEILING).contains(&config.limits.message_bytes)
    {
        return refuse("limits.message_bytes", "from 1024 to 16777216; 0 is the largest");
    }
    engines::check(config)
}

fn is_edge_url(url: &str) -> bool {
    let Ok(url) = url.parse::<axum::http::Uri>() else { return false };
    url.host().is_some() && url.scheme_str().is_some_and(|scheme| ["ws", "wss"].contains(&scheme))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn file(text: &str) -> tempfile::NamedTempFile {
        let file = tempfile::NamedTempFile::new().expect("a temporary file");
        std::fs::write(file.path(), text).expect("writes");
        file
    }

    fn refused(text: &str) -> String {
        read(Some(file(text).path()), |_| None, &[]).expect_err(text).to_string()
    }

    #[test]
    fn flags_win_over_the_environment_and_that_over_the_file() {
        let file = file("shards = 1\napi_addr = \"127.0.0.1:1\"\n[limits]\nmessage_bytes = 2000\n");
        let environment = |name: &str| match name {
            "RINGSIDE_SHARDS" => Some("2".into()),
            "RINGSIDE_LIMITS_MESSAGES_PER_SECOND" => Some("0".into()),
            "RINGSIDE_TRUSTED_PROXIES" => Some("127.0.0.1, ::1".into()),
            _ => None,
        };
        let config = read(Some(file.path()), environment, &[("shards", "3".into())]).expect("reads");
        assert_eq!((config.shards, config.api_addr.port()), (3, 1));
        assert_eq!((config.limits.message_bytes, config.limits.messages_per_second), (2000, 0));
        assert_eq!(config.limits.messages_burst, 20, "what is not set keeps its default");
        assert_eq!(config.trusted_proxies.len(), 2);
    }

    #[test]
    fn every_refusal_says_what_to_change() {
        assert_eq!(refused("shard = 1"), "unknown key `shard`; did you mean `shards`?");
        assert!(refused("[limits]\nmesage_bytes = 1").contains("did you mean `limits.message_bytes`?"));
        assert!(refused("colour = 1").contains("ringside config show"));
        assert!(refused("shards = \"many\"").contains("shards"));
        assert!(refused("shards = 1000").contains("at most 256"));
        assert!(refused("tls_cert = \"a.pem\"").contains("one needs the other"));
        assert!(refused("api_addr = \"nowhere\"").contains("api_addr"));
        assert!(refused("= 1").contains("not TOML"));
        let variables = ["PATH", "RINGSIDE_LOG", "RINGSIDE_SHARD"].map(str::to_owned);
        let unknown = refuse_unknown_variables(variables.into_iter()).expect_err("refuses").to_string();
        assert_eq!(unknown, "unknown variable `RINGSIDE_SHARD`; did you mean `RINGSIDE_SHARDS`?");
        let missing = read(Some(Path::new("/no/such/file")), |_| None, &[]).expect_err("refuses");
        assert!(missing.to_string().contains("can't be read"));
        let number =
            read(None, |name| (name == "RINGSIDE_SHARDS").then(|| "x".into()), &[]).expect_err("refuses");
        assert!(number.to_string().contains("RINGSIDE_SHARDS"));
    }

    #[test]
    fn what_is_shown_can_be_read_again() {
        let whole = Config {
            tls_cert: Some("chain.pem".into()),
            tls_key: Some("key \"1\".pem".into()),
            edge_url: Some("wss://chat.example.org/ws".into()),
            trusted_proxies: vec![IpAddr::from([127, 0, 0, 1])],
            ..Config::default()
        };
        for config in [Config::default(), whole] {
            let shown = shown(&config);
            let back = read(Some(file(&shown).path()), |_| None, &[]).expect("reads");
            assert_eq!(back, config);
        }
    }

    #[test]
    fn every_key_is_shown_those_included_that_are_not_set() {
        let shown = shown(&Config::default());
        let mut table = String::new();
        let mut keys: Vec<String> = Vec::new();
        for line in shown.lines() {
            if let Some(name) = line.strip_prefix('[') {
                table = name.replace(']', ".");
            } else if let Some((key, _)) = line.trim_start_matches("# ").split_once(" = ") {
                keys.push(format!("{table}{key}"));
            }
        }
        assert_eq!(keys, KEYS.map(|(key, _)| key.to_owned()), "{shown}");
        assert!(shown.contains("\n# edge_url = \"\" # not set\n"), "{shown}");
    }

    #[test]
    fn every_field_has_a_key() {
        for (key, kind) in KEYS {
            let text = match key {
                "api_addr" | "edge_addr" | "admin_addr" => "127.0.0.1:1",
                "roles" => "edge, api",
                "trusted_proxies" => "127.0.0.1",
                "tls_cert" | "tls_key" => continue,
                // A secret's file is read.
                key if key.ends_with("_file") && !key.ends_with("ca_file") => continue,
                key if key.starts_with("engines.") => "embedded",
                "redis.mode" => "cluster",
                "backend" => "poll",
                "registration" => "invitation",
                "edge_url" => "wss://chat.example.org/ws",
                "heartbeat_interval_ms" | "limits.message_bytes" | "audit.file_bytes" => "5000",
                _ => "7",
            };
            assert!(value_of(text, kind, key).is_ok());
            read(None, |name| (name == environment_name(key)).then(|| text.into()), &[]).expect(key);
        }
    }
}
