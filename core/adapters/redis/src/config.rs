//! Where the server is, and how long is waited for it.

use std::fmt;
use std::time::Duration;

use redis::{ConnectionAddr, ConnectionInfo, IntoConnectionInfo, ProtocolVersion, RedisConnectionInfo};

/// How long a call takes at the most.
pub const TIMEOUT: Duration = Duration::from_millis(500);
/// How long of this a connection takes to be made at the most.
pub const CONNECT_TIMEOUT: Duration = Duration::from_millis(300);
/// How long a connection counts that was heard of no more and that nobody ended.
pub const CONNECTION_LIFE: Duration = Duration::from_hours(7 * 24);
/// Servers named in the configuration at the most.
pub const ADDRESSES_MAX: usize = 64;

/// Whether there is one server, or a Redis Cluster.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub enum Mode {
    /// One server (a failover behind its name or address is its own matter).
    #[default]
    Single,
    /// A Redis Cluster: keys are spread over its primaries.
    Cluster,
}

/// What the adapter is told.
#[derive(Clone)]
pub struct Config {
    /// Whether there is one server, or a Redis Cluster.
    pub mode: Mode,
    /// `redis://host:port`, or `rediss://host:port` for TLS: one of a single server, some of a cluster's, by which the
    /// others are found. At most [`ADDRESSES_MAX`]. A name and a password in the address give way to the fields below.
    pub addresses: Vec<String>,
    /// The name to sign in by; without it, a password alone is for the user `default`.
    pub username: Option<String>,
    /// The password.
    pub password: Option<String>,
    /// With TLS, the certificates (PEM) of who may vouch for the servers; without it, those of the system.
    pub ca_pem: Option<Vec<u8>>,
    /// What every key and channel begins with, so that several installations may share a server. No braces.
    pub prefix: String,
    /// How long a call takes at the most, repetitions and new connections included. At least 1 ms.
    pub timeout: Duration,
    /// How long a connection takes to be made at the most; no longer than `timeout`.
    pub connect_timeout: Duration,
    /// How long a connection counts that was heard of no more (it connected, or its status was set) and that nobody
    /// ended, because its edge died and its slot was never taken again. Whole seconds, at least one.
    pub connection_life: Duration,
}

impl Default for Config {
    fn default() -> Self {
        Self {
            mode: Mode::Single,
            addresses: vec!["redis://127.0.0.1:6379".into()],
            username: None,
            password: None,
            ca_pem: None,
            prefix: "ringside".into(),
            timeout: TIMEOUT,
            connect_timeout: CONNECT_TIMEOUT,
            connection_life: CONNECTION_LIFE,
        }
    }
}

impl fmt::Debug for Config {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let addresses: Vec<_> = self.addresses.iter().map(|address| without_secrets(address)).collect();
        f.debug_struct("Config")
            .field("mode", &self.mode)
            .field("addresses", &addresses)
            .field("has_password", &self.password.is_some())
            .field("prefix", &self.prefix)
            .field("timeout", &self.timeout)
            .field("connect_timeout", &self.connect_timeout)
            .field("connection_life", &self.connection_life)
            .finish_non_exhaustive()
    }
}

/// An address as it may be shown: no name, no password.
fn without_secrets(address: &str) -> String {
    match address.rsplit_once('@') {
        Some((_, server)) => format!("…@{server}"),
        None => address.to_owned(),
    }
}

/// Why a configuration can't be used, in a sentence that says what to do.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ConfigError(pub(crate) String);

impl fmt::Display for ConfigError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl std::error::Error for ConfigError {}

/// A server's host and port.
#[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Debug)]
pub(crate) struct Address {
    pub(crate) host: String,
    pub(crate) port: u16,
}

impl fmt::Display for Address {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}:{}", self.host, self.port)
    }
}

/// How every server is spoken to.
#[derive(Clone)]
pub(crate) struct Dialing {
    is_tls: bool,
    settings: RedisConnectionInfo,
    ca_pem: Option<Vec<u8>>,
    pub(crate) connect_timeout: Duration,
}

impl Dialing {
    /// A client of one server, by the protocol's version 3: a server that is older than that is too old for the rest.
    pub(crate) fn client(&self, address: &Address) -> redis::RedisResult<redis::Client> {
        let Address { host, port } = address.clone();
        let place = match self.is_tls {
            true => ConnectionAddr::TcpTls { host, port, insecure: false, tls_params: None },
            false => ConnectionAddr::Tcp(host, port),
        };
        let settings = self.settings.clone().set_protocol(ProtocolVersion::RESP3);
        let info: ConnectionInfo = place.into_connection_info()?.set_redis_settings(settings);
        match &self.ca_pem {
            Some(pem) if self.is_tls => {
                let certificates = redis::TlsCertificates { client_tls: None, root_cert: Some(pem.clone()) };
                redis::Client::build_with_tls(info, certificates)
            }
            _ => redis::Client::open(info),
        }
    }
}

impl Config {
    /// The servers, and how they are spoken to.
    pub(crate) fn read(&self) -> Result<(Vec<Address>, Dialing), ConfigError> {
        let error = |text: String| Err(ConfigError(text));
        if self.addresses.is_empty() || self.addresses.len() > ADDRESSES_MAX {
            return error(format!(
                "Redis has {} addresses: give one to {ADDRESSES_MAX}.",
                self.addresses.len()
            ));
        }
        if self.mode == Mode::Single && self.addresses.len() > 1 {
            return error("A single Redis has one address: give one, or configure a cluster.".into());
        }
        if self.prefix.contains(['{', '}']) {
            return error("The prefix of Redis keys can't hold a brace: leave it out.".into());
        }
        if self.timeout < Duration::from_millis(1) || self.connect_timeout > self.timeout {
            return error("Redis: `connect_timeout` can't be longer than `timeout`, at least 1 ms.".into());
        }
        if self.connection_life.as_secs() == 0 {
            return error("Redis: `connection_life` is at least a second.".into());
        }
        let mut places = Vec::with_capacity(self.addresses.len());
        let mut dialing: Option<Dialing> = None;
        for text in &self.addresses {
            let (place, found) = self.read_address(text)?;
            places.push(place);
            if dialing.as_ref().is_some_and(|first| first.is_tls != found.is_tls) {
                return error("Redis: give all addresses as `rediss://`, or none.".into());
            }
            dialing.get_or_insert(found);
        }
        match dialing {
            Some(dialing) => Ok((places, dialing)),
            None => error("Redis has no address: give one.".into()),
        }
    }

    fn read_address(&self, text: &str) -> Result<(Address, Dialing), ConfigError> {
        // What the library says may repeat the address, and the password in it.
        let unreadable = || {
            let shown = without_secrets(text);
            ConfigError(format!(
                "{shown} is no address of a Redis: write `redis://host:port`, or `rediss://`."
            ))
        };
        let info = text.into_connection_info().map_err(|_| unreadable())?;
        let (host, port, is_tls) = match info.addr() {
            ConnectionAddr::Tcp(host, port) => (host.clone(), *port, false),
            ConnectionAddr::TcpTls { host, port, insecure: false, .. } => (host.clone(), *port, true),
            _ => return Err(unreadable()),
        };
        let mut settings = info.redis_settings().clone().set_skip_set_lib_name();
        if self.mode == Mode::Cluster && settings.db() != 0 {
            return Err(ConfigError("A Redis Cluster has database 0 alone: take the number away.".into()));
        }
        if let Some(username) = &self.username {
            settings = settings.set_username(username);
        }
        if let Some(password) = &self.password {
            settings = settings.set_password(password);
        }
        let (ca_pem, connect_timeout) = (self.ca_pem.clone(), self.connect_timeout);
        Ok((Address { host, port }, Dialing { is_tls, settings, ca_pem, connect_timeout }))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn secrets_are_not_shown() {
        let config = Config {
            addresses: vec!["redis://ada:hunter2@localhost:1".into()],
            password: Some("hunter3".into()),
            ..Config::default()
        };
        let shown = format!("{config:?}");
        assert!(!shown.contains("hunter") && shown.contains("localhost:1"), "{shown}");
        let odd = Config { addresses: vec!["redis://ada:hunter2@localhost:x".into()], ..config };
        let error = odd.read().err().map(|error| error.to_string()).unwrap_or_default();
        assert!(!error.contains("hunter") && error.contains("redis://host:port"), "{error}");
    }

    #[test]
    fn what_can_not_be_used_is_refused() {
        let check = |config: Config, says: &str| {
            let error = config.read().err().map(|error| error.to_string()).unwrap_or_default();
            assert!(error.contains(says), "{config:?}: {error}");
        };
        let of = |addresses: &[&str]| Config {
            addresses: addresses.iter().map(|it| (*it).into()).collect(),
            ..Config::default()
        };
        let cluster = |addresses: &[&str]| Config { mode: Mode::Cluster, ..of(addresses) };
        check(of(&[]), "0 addresses");
        check(of(&["redis://a:1", "redis://b:1"]), "configure a cluster");
        check(of(&["http://a:1"]), "no address of a Redis");
        check(of(&["unix:///tmp/redis"]), "no address of a Redis");
        check(cluster(&["redis://a:1", "rediss://b:1"]), "rediss");
        check(cluster(&["redis://a:1/2"]), "database 0");
        check(Config { prefix: "a{b}".into(), ..Config::default() }, "brace");
        check(Config { timeout: Duration::ZERO, ..Config::default() }, "at least 1 ms");
        check(Config { connection_life: Duration::ZERO, ..Config::default() }, "a second");
        assert!(cluster(&["redis://a:1", "redis://b"]).read().is_ok());
    }
}
