//! Where the servers are, as whom to sign in, and every limit.

use std::fmt;
use std::time::Duration;

use sqlx::postgres::{PgConnectOptions, PgSslMode};

/// The port that PostgreSQL listens on where none is said.
pub const DEFAULT_PORT: u16 = 5432;
/// Statements that a connection keeps prepared.
const STATEMENTS_KEPT: usize = 200;

/// A text that is never printed.
#[derive(Clone, PartialEq, Eq)]
pub struct Secret(pub String);

impl fmt::Debug for Secret {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Secret")
    }
}

/// A server.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Host {
    /// Its name or address.
    pub name: String,
    /// Its port.
    pub port: u16,
}

/// Whether the way to the server is encrypted.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub enum Tls {
    /// In the clear: for one machine, or a network that nobody else reads.
    #[default]
    Off,
    /// Encrypted, and the server shows a certificate for its name, which is signed by one of these (PEM); `None`: by an
    /// authority that this machine trusts.
    Verified(Option<Vec<u8>>),
}

/// How the Directory is reached. Every field but the first four has a default that serves.
#[derive(Clone, Debug)]
pub struct Config {
    /// The servers, in any order: the one that is the primary is found, also after a failover.
    pub hosts: Vec<Host>,
    /// The database.
    pub database: String,
    /// The role to sign in as.
    pub user: String,
    /// Its password, where the server asks for one.
    pub password: Option<Secret>,
    /// Whether the way is encrypted.
    pub tls: Tls,
    /// Connections of this process at the most, 1 or more. Those of all processes must fit into the server's `max_connections`.
    pub connections: usize,
    /// What PostgreSQL is told the process is called, as `pg_stat_activity` shows it.
    pub application_name: String,
    /// How long to wait for a server to take a connection, each.
    pub connect_timeout: Duration,
    /// How long a caller waits for one answer, all attempts together: after it the answer is `Unavailable`.
    pub deadline: Duration,
    /// After how long the server ends a statement. It does not hold for a commit that waits for the standby.
    pub statement_timeout: Duration,
    /// How long a statement waits for another transaction's lock.
    pub lock_timeout: Duration,
    /// After how long the server ends a transaction that says nothing.
    pub idle_in_transaction_timeout: Duration,
    /// How long a commit whose caller was told `Unavailable` keeps its connection, so that those which wait for a standby
    /// are never more than `connections`.
    pub commit_timeout: Duration,
    /// A connection that was idle for longer is closed.
    pub idle_timeout: Duration,
    /// A connection that is older is closed, so that after a failover all come home.
    pub max_lifetime: Duration,
    /// Attempts of one transaction at the most: after a deadlock, a serialization failure, or a connection that was closed
    /// before the transaction began.
    pub attempts: u32,
    /// How long the migrations of [`init`](crate::init) may take, each statement.
    pub migration_timeout: Duration,
}

impl Default for Config {
    fn default() -> Self {
        Self {
            hosts: vec![Host { name: "127.0.0.1".into(), port: DEFAULT_PORT }],
            database: "ringside".into(),
            user: "ringside".into(),
            password: None,
            tls: Tls::Off,
            connections: 16,
            application_name: "ringside".into(),
            connect_timeout: Duration::from_secs(2),
            deadline: Duration::from_secs(5),
            statement_timeout: Duration::from_secs(3),
            lock_timeout: Duration::from_secs(2),
            idle_in_transaction_timeout: Duration::from_secs(10),
            commit_timeout: Duration::from_secs(60),
            idle_timeout: Duration::from_secs(300),
            max_lifetime: Duration::from_secs(1_800),
            attempts: 5,
            migration_timeout: Duration::from_secs(600),
        }
    }
}

/// A URL that names no database.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum InvalidUrl {
    /// It has another form. It may hold a password, so it is not repeated.
    #[error("the PostgreSQL URL must look like postgres://user:password@host:5432,host2:5432/database")]
    Form,
    /// A port is no number.
    #[error("the PostgreSQL URL names {0:?} as a port; it must be a number from 1 to 65535")]
    Port(String),
    /// Something stands behind the database's name.
    #[error("the PostgreSQL URL must end with the database's name: options are fields of the configuration")]
    Options,
}

impl Config {
    /// The configuration of a URL like `postgres://user:password@host:5432,host2:5432/database`, the rest by default.
    /// Characters of the user, password and database that a URL can't hold are written `%40`.
    ///
    /// # Errors
    /// See [`InvalidUrl`].
    pub fn from_url(url: &str) -> Result<Self, InvalidUrl> {
        let rest = url.strip_prefix("postgres://").or_else(|| url.strip_prefix("postgresql://"));
        let (authority, database) = rest.and_then(|rest| rest.split_once('/')).ok_or(InvalidUrl::Form)?;
        if database.contains(['?', '#', '/']) {
            return Err(InvalidUrl::Options);
        }
        let (credentials, hosts) = authority.rsplit_once('@').ok_or(InvalidUrl::Form)?;
        let (user, password) = match credentials.split_once(':') {
            Some((user, password)) => (user, Some(password)),
            None => (credentials, None),
        };
        let hosts = hosts.split(',').map(host).collect::<Result<Vec<_>, _>>()?;
        if user.is_empty() || database.is_empty() {
            return Err(InvalidUrl::Form);
        }
        Ok(Self {
            hosts,
            database: decoded(database)?,
            user: decoded(user)?,
            password: password.map(decoded).transpose()?.map(Secret),
            ..Self::default()
        })
    }

    /// How one of the hosts is connected to.
    pub(crate) fn options(&self, host: &Host) -> PgConnectOptions {
        let ms = |duration: Duration| duration.as_millis().to_string();
        let options = PgConnectOptions::new_without_pgpass()
            .host(&host.name)
            .port(host.port)
            .database(&self.database)
            .username(&self.user)
            .application_name(&self.application_name)
            .statement_cache_capacity(STATEMENTS_KEPT)
            .options([
                ("statement_timeout", ms(self.statement_timeout)),
                ("lock_timeout", ms(self.lock_timeout)),
                ("idle_in_transaction_session_timeout", ms(self.idle_in_transaction_timeout)),
                // A process that is gone, and its locks with it, is noticed though nobody says so.
                ("tcp_keepalives_idle", "10".into()),
                ("tcp_keepalives_interval", "5".into()),
                ("tcp_keepalives_count", "3".into()),
            ]);
        let options = match &self.tls {
            Tls::Off => options.ssl_mode(PgSslMode::Disable),
            Tls::Verified(None) => options.ssl_mode(PgSslMode::VerifyFull),
            Tls::Verified(Some(pem)) => {
                options.ssl_mode(PgSslMode::VerifyFull).ssl_root_cert_from_pem(pem.clone())
            }
        };
        match &self.password {
            Some(Secret(password)) => options.password(password),
            None => options,
        }
    }
}

impl fmt::Display for Host {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}:{}", self.name, self.port)
    }
}

fn host(text: &str) -> Result<Host, InvalidUrl> {
    // An IPv6 address stands in brackets.
    let (name, port) = match text.strip_prefix('[').and_then(|rest| rest.split_once(']')) {
        Some((name, port)) => (name, port.strip_prefix(':')),
        None => text.split_once(':').map_or((text, None), |(name, port)| (name, Some(port))),
    };
    if name.is_empty() {
        return Err(InvalidUrl::Form);
    }
    let port = match port {
        Some(port) => {
            port.parse().ok().filter(|port| *port != 0).ok_or_else(|| InvalidUrl::Port(port.into()))?
        }
        None => DEFAULT_PORT,
    };
    Ok(Host { name: name.into(), port })
}

/// A text without its percent signs (RFC 3986 section 2.1).
fn decoded(text: &str) -> Result<String, InvalidUrl> {
    let mut bytes = Vec::with_capacity(text.len());
    let mut rest = text.as_bytes();
    while let Some((first, after)) = rest.split_first() {
        let byte = match (first, after) {
            (b'%', [high, low, after @ ..]) => {
                let digit = |byte: u8| char::from(byte).to_digit(16).ok_or(InvalidUrl::Form);
                rest = after;
                (digit(*high)? * 16 + digit(*low)?) as u8
            }
            (b'%', _) => return Err(InvalidUrl::Form),
            (byte, after) => {
                rest = after;
                *byte
            }
        };
        bytes.push(byte);
    }
    String::from_utf8(bytes).map_err(|_| InvalidUrl::Form)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_url_names_hosts_user_and_database() {
        let read = Config::from_url("postgres://ri%40ng:pa%3Ahidden@one:1,two,[::1]:3/side").expect("reads");
        let host = |name: &str, port| Host { name: name.into(), port };
        assert_eq!(read.hosts, [host("one", 1), host("two", DEFAULT_PORT), host("::1", 3)]);
        assert_eq!((&read.user[..], &read.database[..]), ("ri@ng", "side"));
        assert_eq!(read.password, Some(Secret("pa:hidden".into())));
        assert!(!format!("{read:?}").contains("hidden"), "{read:?}");
    }

    #[test]
    fn a_url_of_another_form_is_refused_without_its_password() {
        for (url, expected) in [
            ("mysql://u:hidden@h/d", InvalidUrl::Form),
            ("postgres://h/d", InvalidUrl::Form),
            ("postgres://u:hidden@h", InvalidUrl::Form),
            ("postgres://u:hidden@/d", InvalidUrl::Form),
            ("postgres://u:hid%2@h/d", InvalidUrl::Form),
            ("postgres://u:hidden@h:0/d", InvalidUrl::Port("0".into())),
            ("postgres://u:hidden@h/d?sslmode=off", InvalidUrl::Options),
        ] {
            let refused = Config::from_url(url).expect_err(url);
            assert_eq!(refused, expected);
            assert!(!refused.to_string().contains("hid"), "{refused}");
        }
    }
}
