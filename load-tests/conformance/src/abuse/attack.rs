//! What an attack is: a name and one or more moves, all at once.

use super::rows::Row;
use super::{frames, rows, strangers};

/// Sockets of one account: the default limit.
pub(super) const SOCKETS: usize = 5;
/// Connections of a REST flood.
pub(super) const REST_CONNECTIONS: usize = 20;

/// No attack: it shows what the machine's own noise does to the figures.
pub(super) const CONTROL: &str = "control: nothing is sent";

/// Where an attack goes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Port {
    Api,
    Edge,
    Admin,
}

/// One thing done as fast as it goes. Texts have open places that `Placeholders` fills.
#[derive(Clone, Debug)]
pub(super) enum Action {
    /// Frames made and thrown away: what the attackers' own work takes from this machine.
    Nothing,
    /// Text messages on sockets of the account, by turns.
    Frames { sockets: usize, texts: Vec<String> },
    /// WebSocket pings on sockets of the account.
    Pings { sockets: usize },
    /// Sockets of the account, opened and closed.
    Handshakes { connections: usize },
    /// Whole HTTP requests, pipelined; each connection has one of them.
    Requests { port: Port, connections: usize, requests: Vec<String> },
    /// Connections that say this and no more, and stay; the next one is said by the next connection.
    HalfOpen { port: Port, connections: usize, beginnings: Vec<String> },
    /// Connections that ask again and again and read nothing.
    SlowReaders { port: Port, connections: usize, request: String },
    /// Connections that say this, and then go on byte by byte.
    SlowWriters { port: Port, connections: usize, beginning: String },
}

/// A name and moves, all at once.
#[derive(Clone, Debug)]
pub(super) struct Attack {
    pub name: String,
    /// Whether it is one of the few that stand for all in the short run.
    pub short: bool,
    pub actions: Vec<Action>,
}

/// The ones that stand for all.
const SHORT: &[&str] = &[
    CONTROL,
    "frame presence.set",
    "frame presence.subscribe",
    "frame sync",
    "frame auth",
    "handshakes",
    "rest GET /api/v1/channels/{channel_id}/messages",
    "half-open on edge",
    "wrong sign-ins",
];

impl Attack {
    pub(super) fn new(name: impl Into<String>, actions: Vec<Action>) -> Self {
        let name = name.into();
        Self { short: SHORT.contains(&name.as_str()), name, actions }
    }
}

/// All of them, with the REST rows that the server names itself.
pub(super) fn all(rows: &[Row]) -> Vec<Attack> {
    let mut attacks = vec![Attack::new(CONTROL, vec![Action::Nothing])];
    attacks.extend(frames::attacks());
    attacks.extend(rows::attacks(rows));
    attacks.extend(pairs());
    attacks.extend(strangers::attacks());
    attacks
}

fn pairs() -> Vec<Attack> {
    let frames = |kind: &str, sockets| Action::Frames { sockets, texts: frames::valid(kind) };
    let get = |path: &str| Action::Requests {
        port: Port::Api,
        connections: REST_CONNECTIONS,
        requests: vec![rows::as_the_account("GET", path, None)],
    };
    let handshakes = || Action::Handshakes { connections: 2 };
    let pair = |name: &str, first, second| Attack::new(format!("pair {name}"), vec![first, second]);
    vec![
        pair("presence.set + sync", frames("presence.set", 3), frames("sync", 2)),
        pair(
            "message.send + GET users/search",
            frames("message.send", 5),
            get("/api/v1/users/search?q=honest"),
        ),
        pair("presence.subscribe + handshakes", frames("presence.subscribe", 3), handshakes()),
        pair("message.read + reaction.add", frames("message.read", 3), frames("reaction.add", 2)),
        pair("auth + typing.start", frames("auth", 3), frames("typing.start", 2)),
        pair("sync + GET export", frames("sync", 5), get("/api/v1/users/me/export")),
        pair("handshakes + GET channels", handshakes(), get("/api/v1/channels?limit=100")),
    ]
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_short_run_names_attacks_that_exist_and_names_are_unique() {
        let row = Row { method: "GET".into(), path: "/api/v1/channels/{channel_id}/messages".into() };
        let attacks = all(&[row]);
        for name in SHORT {
            assert!(attacks.iter().any(|attack| attack.name == *name), "{name} is no attack");
        }
        let mut names: Vec<&str> = attacks.iter().map(|attack| attack.name.as_str()).collect();
        names.sort_unstable();
        names.dedup();
        assert_eq!(names.len(), attacks.len());
    }
}
