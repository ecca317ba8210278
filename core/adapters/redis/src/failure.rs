//! What the server refuses, and what comes of it.

use redis::{ErrorKind, RedisError, ServerError, ServerErrorKind};
use ringside_ports::EngineError;

use crate::config::Address;

const ENGINE: &str = "redis";

pub(crate) fn unavailable(cause: impl Into<String>) -> EngineError {
    EngineError::Unavailable { engine: ENGINE, cause: cause.into() }
}

/// A reply that no version of our scripts gives.
pub(crate) fn unexpected(what: &str) -> EngineError {
    EngineError::Damaged {
        engine: ENGINE,
        cause: format!("it answered {what} with what the script never says: look at what else uses its keys"),
    }
}

/// An error of a connection in words; the kinds that a person has to mend come with the mend.
pub(crate) fn words_of(error: &RedisError) -> String {
    let mend = match (error.kind(), error.code()) {
        (ErrorKind::AuthenticationFailed, _) | (_, Some("WRONGPASS")) => {
            "the name or password is wrong: correct it in the configuration"
        }
        (_, Some("NOAUTH")) => "it wants a password: give it in the configuration",
        (_, Some("NOPERM")) => "the user may not do this: allow it all commands that Ringside needs",
        _ => return error.to_string(),
    };
    format!("{mend} ({error})")
}

/// What to do about an error that the server gave to one command. None of them has done anything, but the last.
#[derive(Debug, PartialEq)]
pub(crate) enum Refused {
    /// The slot is at another server.
    Moved(u16, Address),
    /// This key may be at another server already, whose slot it is not yet.
    Ask(Address),
    /// The server has not seen the script yet.
    UnknownScript,
    /// It is a replica, or was one until a moment ago.
    ReadOnly,
    /// It will take it in a moment.
    Later(String),
    /// It won't.
    For(EngineError),
}

impl Refused {
    pub(crate) fn of(error: &ServerError, from: &Address) -> Self {
        let details = error.details().unwrap_or_default();
        let said = || format!("{from}: {} {details}", error.code());
        match error.kind() {
            Some(ServerErrorKind::Moved) => match redirection(details, from) {
                Some((slot, address)) => Self::Moved(slot, address),
                None => Self::Later(said()),
            },
            Some(ServerErrorKind::Ask) => match redirection(details, from) {
                Some((_, address)) => Self::Ask(address),
                None => Self::Later(said()),
            },
            Some(ServerErrorKind::NoScript) => Self::UnknownScript,
            Some(ServerErrorKind::ReadOnly) => Self::ReadOnly,
            Some(
                ServerErrorKind::BusyLoading
                | ServerErrorKind::TryAgain
                | ServerErrorKind::ClusterDown
                | ServerErrorKind::MasterDown,
            ) => Self::Later(said()),
            _ if error.code() == "WRONGTYPE" || details.contains("WRONGTYPE") => {
                let cause =
                    format!("a key holds what is not ours ({}): give Ringside a prefix of its own", said());
                Self::For(EngineError::Damaged { engine: ENGINE, cause })
            }
            _ => Self::For(unavailable(said())),
        }
    }
}

/// The slot and the server that a redirection names; a server without a name is the one that said it.
fn redirection(details: &str, from: &Address) -> Option<(u16, Address)> {
    let (slot, place) = details.split_once(' ')?;
    let (host, port) = place.trim().rsplit_once(':')?;
    let host = if host.is_empty() { &from.host } else { host };
    Some((
        slot.parse().ok()?,
        Address { host: host.trim_matches(['[', ']']).into(), port: port.parse().ok()? },
    ))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn redirections_are_read() {
        let from = Address { host: "here".into(), port: 1 };
        let check = |details: &str, expected: Option<(u16, &str, u16)>| {
            let expected = expected.map(|(slot, host, port)| (slot, Address { host: host.into(), port }));
            assert_eq!(redirection(details, &from), expected, "{details}");
        };
        check("3999 127.0.0.1:6381", Some((3_999, "127.0.0.1", 6_381)));
        check("3999 :6381", Some((3_999, "here", 6_381)));
        check("3999 ::1:6381", Some((3_999, "::1", 6_381)));
        check("", None);
        check("3999", None);
        check("x 127.0.0.1:6381", None);
        check("99999 127.0.0.1:6381", None);
    }
}
