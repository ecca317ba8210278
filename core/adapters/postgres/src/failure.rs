//! How PostgreSQL fails, in the ports' words.

use std::io;

use ringside_ports::EngineError;
use sqlx::migrate::MigrateError;

use crate::config::{Config, Host};

/// The name of this engine in errors.
pub(crate) const ENGINE: &str = "Directory";

/// Why the database can't be used.
#[derive(Debug, thiserror::Error)]
pub enum OpenError {
    /// No server of the list can be used; the sentences say why of each.
    #[error("{0}")]
    NoPrimary(String),
    /// It was written by a later version.
    #[error(
        "the Directory was written by a newer version of Ringside; start that version, or restore a backup into another \
         database"
    )]
    Newer,
    /// Migrations are missing.
    #[error("the Directory lacks {0} migrations; run `ringside init` once, with this version")]
    Older(usize),
    /// A migration failed.
    #[error(
        "the Directory can't be brought up to date: {0}. What was applied stays; mend the cause and run `ringside init` again"
    )]
    Migration(MigrateError),
    /// Anything else.
    #[error("the Directory can't be opened: {0}")]
    Engine(EngineError),
}

/// A failure inside a transaction or read.
#[derive(Debug)]
pub(crate) enum Failure {
    Sql(sqlx::Error),
    Engine(EngineError),
}

impl From<sqlx::Error> for Failure {
    fn from(error: sqlx::Error) -> Self {
        Self::Sql(error)
    }
}

impl From<EngineError> for Failure {
    fn from(error: EngineError) -> Self {
        Self::Engine(error)
    }
}

impl From<Failure> for EngineError {
    fn from(failure: Failure) -> Self {
        match failure {
            Failure::Engine(error) => error,
            Failure::Sql(error) => engine_error(&error),
        }
    }
}

impl Failure {
    /// The server has undone it because of others: the same may work at once (SQLSTATE class 40).
    pub(crate) fn is_conflict(&self) -> bool {
        self.code().is_some_and(|code| code == "40001" || code == "40P01")
    }

    /// The connection is of no use any more, whatever was done on it.
    pub(crate) fn is_lost(&self) -> bool {
        match self {
            Self::Engine(_) => false,
            Self::Sql(error) => match error {
                sqlx::Error::Io(_)
                | sqlx::Error::Protocol(_)
                | sqlx::Error::Tls(_)
                | sqlx::Error::WorkerCrashed => true,
                // Shut down, crashed, ended by somebody, idle for too long, or no primary any more.
                sqlx::Error::Database(_) => self.code().is_some_and(|code| {
                    code.starts_with("08") || code.starts_with("57P") || code == "25P03" || code == "25006"
                }),
                _ => false,
            },
        }
    }

    fn code(&self) -> Option<String> {
        match self {
            Self::Sql(error) => code(error),
            Self::Engine(_) => None,
        }
    }
}

pub(crate) fn code(error: &sqlx::Error) -> Option<String> {
    error.as_database_error().and_then(|error| error.code()).map(Into::into)
}

pub(crate) fn unavailable(cause: impl std::fmt::Display) -> EngineError {
    EngineError::Unavailable { engine: ENGINE, cause: cause.to_string() }
}

pub(crate) fn damaged(cause: impl std::fmt::Display) -> EngineError {
    EngineError::Damaged { engine: ENGINE, cause: cause.to_string() }
}

fn engine_error(error: &sqlx::Error) -> EngineError {
    match error {
        sqlx::Error::ColumnDecode { .. } | sqlx::Error::Decode(_) | sqlx::Error::ColumnNotFound(_) => {
            damaged(error)
        }
        _ => match code(error).as_deref() {
            // data_corrupted, index_corrupted
            Some("XX001" | "XX002") => damaged(error),
            Some("42P01" | "42703") => {
                unavailable(format!("{error}; run `ringside init` once, with this version"))
            }
            Some("42501") => unavailable(format!(
                "{error}; grant the role what `ringside init` has made, or let it own that"
            )),
            Some("55P03") => {
                unavailable("another transaction holds what this one needs for too long (lock timeout)")
            }
            Some("57014") => unavailable("the statement took too long (statement timeout)"),
            _ => unavailable(error),
        },
    }
}

/// Why a server did not take a connection, and what to do.
pub(crate) fn refusal(host: &Host, config: &Config, error: &sqlx::Error) -> String {
    let (database, user) = (&config.database, &config.user);
    match (code(error).as_deref(), error) {
        (Some("28P01"), _) => {
            format!("{host} refuses the password of the role {user:?}; correct the user or password")
        }
        (Some("28000"), _) => {
            format!(
                "{host} does not let the role {user:?} in: {error}. Create the role, or correct pg_hba.conf or the user"
            )
        }
        (Some("3D000"), _) => format!(
            "{host} has no database {database:?}; create it with `createdb -E UTF8 -O {user} {database}`, or correct its name"
        ),
        (Some("53300"), _) => format!(
            "{host} has no connection left; raise its max_connections, or lower the connections of each process"
        ),
        (Some("57P03"), _) => format!("{host} is starting or stopping: {error}. Wait for it"),
        (_, sqlx::Error::Io(cause)) if cause.kind() == io::ErrorKind::ConnectionRefused => {
            format!("nothing listens on {host}; start PostgreSQL there, or correct the host and port")
        }
        (_, sqlx::Error::Tls(_)) => tls_refusal(host, error),
        // How a certificate that is not trusted comes.
        (_, sqlx::Error::Io(cause)) if cause.kind() == io::ErrorKind::InvalidData => tls_refusal(host, error),
        _ => format!("{host} can't be reached: {error}. Check its address and that it runs"),
    }
}

fn tls_refusal(host: &Host, error: &sqlx::Error) -> String {
    format!(
        "{host} can't be spoken to by TLS: {error}. Correct its certificate, the authorities to trust, or the TLS setting"
    )
}
