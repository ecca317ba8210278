//! What people without an account may do, on each port.

use super::attack::{Action, Attack, Port};
use super::template::request;

/// Connections that a stranger keeps half open.
const HALF_OPEN: usize = 3_000;
/// Connections of a stranger who reads or writes slowly.
const SLOW: usize = 400;
/// Connections of a stranger who asks as fast as it goes.
const FAST: usize = 50;
/// A body that no row takes.
const LARGE_BODY_BYTES: usize = 1 << 20;

/// The ports, and `/ws` on the API's, each with something that is asked there.
const PLACES: &[(&str, Port, &str, &str)] = &[
    ("api", Port::Api, "/openapi.json", ""),
    ("edge", Port::Edge, "/ws", UPGRADE),
    ("/ws of api", Port::Api, "/ws", UPGRADE),
    ("admin", Port::Admin, "/metrics", ""),
];

const UPGRADE: &str = "Connection: Upgrade\r\nUpgrade: websocket\r\nSec-WebSocket-Version: 13\r\nSec-WebSocket-Key: \
                       dGhlIHNhbXBsZSBub25jZQ==\r\n";

/// What strangers do on each port that there is.
pub(super) fn attacks() -> Vec<Attack> {
    let mut attacks = Vec::new();
    for &(place, port, path, headers) in PLACES {
        let beginning = format!("GET {path} HTTP/1.1\r\nHost: 127.0.0.1\r\n{headers}");
        let whole = format!("{beginning}\r\n");
        let name = |what: &str| format!("{what} on {place}");
        // Where only a path tells places apart, silence belongs to the port's own row.
        let beginnings = if place.starts_with('/') {
            vec![beginning.clone()]
        } else {
            vec![String::new(), beginning.clone()]
        };
        let half_open = Action::HalfOpen { port, connections: HALF_OPEN, beginnings };
        attacks.push(Attack::new(name("half-open"), vec![half_open]));
        let readers = Action::SlowReaders { port, connections: SLOW, request: whole.clone() };
        attacks.push(Attack::new(name("slow readers"), vec![readers]));
        let writers =
            Action::SlowWriters { port, connections: SLOW, beginning: format!("{beginning}X-Slow: ") };
        attacks.push(Attack::new(name("slow writers"), vec![writers]));
        let requests = Action::Requests { port, connections: FAST, requests: vec![whole] };
        attacks.push(Attack::new(name("requests without a token"), vec![requests]));
    }
    let login = |body: &str| request("POST", "/api/v1/auth/login", None, Some(body));
    let slow_body = "POST /api/v1/auth/login HTTP/1.1\r\nHost: 127.0.0.1\r\nContent-Type: application/json\r\nContent-Length: \
                     60000\r\n\r\n";
    let writers = Action::SlowWriters { port: Port::Api, connections: SLOW, beginning: slow_body.to_owned() };
    attacks.push(Attack::new("slow bodies on api", vec![writers]));
    let fast = |requests| vec![Action::Requests { port: Port::Api, connections: FAST, requests }];
    let wrong = [
        r#"{"login":"{honest}","password":"a wrong password"}"#,
        r#"{"login":"n{short}","password":"wrong"}"#,
    ];
    attacks.push(Attack::new("wrong sign-ins", fast(wrong.into_iter().map(login).collect())));
    let account =
        r#"{"email":"r{short}@example.org","username":"r{short}","password":"long enough a password"}"#;
    let register = request("POST", "/api/v1/auth/register", None, Some(account));
    attacks.push(Attack::new("registrations", fast(vec![register])));
    attacks.push(Attack::new("large bodies on api", fast(vec![login(&"x".repeat(LARGE_BODY_BYTES))])));
    let no_http = vec!["\r\n\r\n\u{1}\u{2}nonsense\r\n\r\n".to_owned()];
    attacks.push(Attack::new("no HTTP on api", fast(no_http.clone())));
    let no_http = Action::Requests { port: Port::Edge, connections: FAST, requests: no_http };
    attacks.push(Attack::new("no HTTP on edge", vec![no_http]));
    attacks
}
