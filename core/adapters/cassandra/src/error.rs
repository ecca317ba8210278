//! How the engine fails, in the port's words and in an operator's.

use std::error::Error;

use ringside_ports::EngineError;
use scylla::errors::{
    ConnectionError, ConnectionPoolError, ConnectionSetupRequestErrorKind, DbError, ExecutionError,
    MetadataError, NewSessionError, PrepareError, RequestAttemptError,
};

/// The name of this engine in errors.
pub(crate) const ENGINE: &str = "cassandra";

/// Why a store could not be opened, made or checked.
#[derive(Debug, thiserror::Error)]
pub enum OpenError {
    /// The configuration can't be worked with.
    #[error("the configuration of Cassandra: {reason}")]
    Config {
        /// What is wrong, and what would be right.
        reason: String,
    },
    /// None of the nodes that were named answers.
    #[error(
        "no node of Cassandra answers at {contact_points}: start it, or mend the addresses and the firewall ({cause})"
    )]
    Unreachable {
        /// Where it was looked for.
        contact_points: String,
        /// In the driver's words.
        cause: String,
    },
    /// The engine does not let this user in.
    #[error(
        "Cassandra does not let in {user}: mend the user name and the password, or create the role ({cause})"
    )]
    Credentials {
        /// The role that tried to sign in.
        user: String,
        /// In the engine's words.
        cause: String,
    },
    /// The user may not do what it must.
    #[error("Cassandra does not allow it: grant the role what is missing ({cause})")]
    Forbidden {
        /// In the engine's words.
        cause: String,
    },
    /// No node is in the data centre.
    #[error("no node of Cassandra is in the data centre `{datacenter}`; there are: {known}. Mend the name")]
    Datacenter {
        /// The one that was asked for.
        datacenter: String,
        /// Those that there are.
        known: String,
    },
    /// There is no such keyspace.
    #[error("Cassandra has no keyspace `{keyspace}`: run `ringside init`")]
    NoKeyspace {
        /// Its name.
        keyspace: String,
    },
    /// The keyspace lacks tables that this version needs.
    #[error("the keyspace `{keyspace}` has no table {missing}: run `ringside init`")]
    NoTables {
        /// The keyspace.
        keyspace: String,
        /// Their names.
        missing: String,
    },
    /// The tables are of another version.
    #[error(
        "the keyspace `{keyspace}` has tables of version {found}, and this program needs {needed}: {mend}"
    )]
    Version {
        /// The keyspace.
        keyspace: String,
        /// The version that is there; 0: none was written.
        found: i32,
        /// The version that is needed.
        needed: i32,
        /// What to do.
        mend: &'static str,
    },
    /// The tables are not what was made.
    #[error("the keyspace `{keyspace}` does not fit this program: {cause}. See `ringside doctor`")]
    Tables {
        /// The keyspace.
        keyspace: String,
        /// In the engine's words.
        cause: String,
    },
    /// The engine did not do it in time, or in full.
    #[error("Cassandra did not confirm: {cause}. Try again")]
    Failed {
        /// In the engine's words.
        cause: String,
    },
}

/// It may work later: not confirmed, and possibly done all the same.
pub(crate) fn unavailable(cause: String) -> EngineError {
    EngineError::Unavailable { engine: ENGINE, cause }
}

/// It needs a person.
pub(crate) fn damaged(cause: String) -> EngineError {
    EngineError::Damaged { engine: ENGINE, cause }
}

/// Whether the same request may be confirmed when it is sent again.
pub(crate) fn is_passing(error: &ExecutionError) -> bool {
    match error {
        ExecutionError::RequestTimeout(_)
        | ExecutionError::ConnectionPoolError(_)
        | ExecutionError::EmptyPlan => true,
        ExecutionError::LastAttemptError(error) => match error {
            RequestAttemptError::BrokenConnectionError(_) | RequestAttemptError::UnableToAllocStreamId => {
                true
            }
            RequestAttemptError::DbError(error, _) => is_passing_answer(error),
            _ => false,
        },
        _ => false,
    }
}

fn is_passing_answer(error: &DbError) -> bool {
    matches!(
        error,
        DbError::Unavailable { .. }
            | DbError::Overloaded
            | DbError::IsBootstrapping
            | DbError::ReadTimeout { .. }
            | DbError::WriteTimeout { .. }
            | DbError::ReadFailure { .. }
            | DbError::WriteFailure { .. }
            | DbError::ServerError
            | DbError::RateLimitReached { .. }
    )
}

/// A request that was given up, in the port's words.
pub(crate) fn of_request(error: &ExecutionError) -> EngineError {
    match error {
        ExecutionError::BadQuery(_) => damaged(format!("a value that does not fit its column: {error}")),
        ExecutionError::LastAttemptError(RequestAttemptError::DbError(DbError::Invalid, message)) => {
            unavailable(format!("it refuses the request ({message}): `ringside doctor` says what is missing"))
        }
        ExecutionError::LastAttemptError(RequestAttemptError::DbError(DbError::Unauthorized, message)) => {
            unavailable(format!("it does not allow the request ({message}): grant the role what is missing"))
        }
        error => unavailable(error.to_string()),
    }
}

/// A statement of init or check that was refused.
pub(crate) fn of_statement(error: &(impl Error + 'static)) -> OpenError {
    let cause = error.to_string();
    match answer_in(error) {
        Some(DbError::Unauthorized) => OpenError::Forbidden { cause },
        _ => OpenError::Failed { cause },
    }
}

/// The engine's own answer somewhere in the causes of an error.
pub(crate) fn answer_in<'a>(error: &'a (dyn Error + 'static)) -> Option<&'a DbError> {
    let mut next = Some(error);
    while let Some(error) = next {
        if let Some(answer) = error.downcast_ref::<DbError>() {
            return Some(answer);
        }
        if let Some(RequestAttemptError::DbError(answer, _)) = error.downcast_ref() {
            return Some(answer);
        }
        if let Some(PrepareError::AllAttemptsFailed {
            first_attempt: RequestAttemptError::DbError(answer, _),
            ..
        }) = error.downcast_ref()
        {
            return Some(answer);
        }
        next = error.source();
    }
    None
}

/// A connection that could not be opened.
pub(crate) fn of_connecting(error: &NewSessionError, contact_points: &[String], user: &str) -> OpenError {
    let cause = error.to_string();
    match last_connection_error(error).and_then(setup_failure) {
        Some(
            ConnectionSetupRequestErrorKind::MissingAuthentication
            | ConnectionSetupRequestErrorKind::DbError(DbError::AuthenticationError, _),
        ) => OpenError::Credentials { user: user.to_owned(), cause },
        _ => OpenError::Unreachable { contact_points: contact_points.join(", "), cause },
    }
}

fn last_connection_error(error: &NewSessionError) -> Option<&ConnectionError> {
    match error {
        NewSessionError::MetadataError(MetadataError::ConnectionPoolError(ConnectionPoolError::Broken {
            last_connection_error,
        })) => Some(last_connection_error),
        _ => None,
    }
}

fn setup_failure(error: &ConnectionError) -> Option<&ConnectionSetupRequestErrorKind> {
    match error {
        ConnectionError::ConnectionSetupRequestError(error) => Some(&error.error),
        _ => None,
    }
}
