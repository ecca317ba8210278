//! Who gets in: every answer of the contract to a request, and nothing looked at before it is given.

mod support;

use std::io::{ErrorKind, Read as _};
use std::sync::atomic::Ordering;
use std::time::Duration;

use ringside_edge_protocol::{AdmitRefusal, ToShard};
use ringside_gateway::REFUSAL_REASONS;
use ringside_reactor::Backend;
use ringside_session::token::Claims;
use support::{CHANNEL, ORIGIN, TestShard, frame, live, now, read_to_end, session, signed, token, user};

over_both_backends!(
    every_bad_request_gets_its_status,
    a_good_request_is_asked_for_and_upgraded,
    a_browser_brings_its_token_as_a_protocol,
    the_node_may_refuse,
    bytes_before_the_answer_wait_for_it,
    too_many_bytes_before_the_answer_end_it,
    who_goes_while_being_admitted_is_reported_gone,
    one_more_than_the_edge_may_hold_is_told_so,
    who_asks_for_nothing_gives_way,
);

fn request(lines: &[&str]) -> String {
    let mut text =
        "GET /ws HTTP/1.1\r\nHost: edge\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n".to_owned();
    text += "Sec-WebSocket-Version: 13\r\nSec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n";
    for line in lines {
        text += line;
        text += "\r\n";
    }
    text + "\r\n"
}

fn bearer(token: &str) -> String {
    format!("Authorization: Bearer {token}")
}

fn status(answer: &str) -> &str {
    answer.split(' ').nth(1).unwrap_or(answer)
}

fn every_bad_request_gets_its_status(backend: Backend) {
    let shard = TestShard::new(backend);
    let good = bearer(&token(1, 900));
    let mut refresh = Claims::access(user(1), session(1), now(), 900);
    refresh.typ = "refresh".into();
    let past = Claims::access(user(1), session(1), ringside_types::UnixMillis(now().0 - 3_600_000), 900);
    let check = |text: &str, wanted: &str| {
        let answer = read_to_end(shard.raw(text.as_bytes()));
        assert_eq!(status(&answer), wanted, "{text}\n{answer}");
        assert!(answer.contains("application/problem+json"), "{answer}");
        for (name, value) in ringside_types::security::SECURITY_HEADERS {
            assert!(answer.contains(&format!("\r\n{name}: {value}\r\n")), "{name} is missing: {answer}");
        }
        let (_, body) = answer.split_once("\r\n\r\n").expect("a body");
        assert_eq!(body.is_empty(), text.starts_with("HEAD "), "{text}\n{answer}");
        assert!(shard.nothing_is_asked(), "{text}");
    };
    check(&request(&[]), "401");
    check(&request(&["Authorization: Basic eDp5"]), "401");
    check(&request(&[&bearer("")]), "401");
    check(&request(&[&bearer("a.b.c")]), "401");
    check(&request(&[&bearer(&signed(&refresh))]), "401");
    check(&request(&[&bearer(&signed(&past))]), "401");
    check(&request(&[&good, "Content-Length: 1"]), "400");
    check(&request(&[&good, "Transfer-Encoding: chunked"]), "400");
    check(&request(&[&good, &format!("X-Long: {}", "x".repeat(17_000))]), "431");
    check(&request(&[&good]).replace("GET /ws ", "GET /other "), "404");
    check(&request(&[&good]).replace("GET /ws ", "POST /ws "), "405");
    check(&request(&[&good]).replace("GET /ws ", "HEAD /ws "), "405");
    check(&request(&[&good]).replace("GET /ws ", "HEAD /other "), "404");
    check(&request(&[]).replace("Version: 13", "Version: 12"), "426");
    check(&request(&[&good]).replace("HTTP/1.1", "HTTP/1.0"), "400");
    check("GET /ws HTTP/1.1\nHost: edge\n", "400");
    for foreign in
        ["null", "https://chat.example.org.evil", "https://evil-chat.example.org", "http://chat.example.org"]
    {
        check(&request(&[&good, &format!("Origin: {foreign}")]), "403");
    }
    check(&request(&[&good, &format!("Origin: {ORIGIN}"), "Origin: null"]), "400");
    let counted = |reason: &str| {
        let at = REFUSAL_REASONS.iter().position(|known| *known == reason).expect("a reason");
        shard.counters.refused[at].load(Ordering::Relaxed)
    };
    for (reason, count) in [
        ("no_token", 3),
        ("invalid_token", 2),
        ("expired_token", 1),
        ("bad_request", 5),
        ("headers_too_large", 1),
        ("wrong_path", 2),
        ("wrong_method", 2),
        ("wrong_version", 1),
        ("origin", 4),
        ("full", 0),
    ] {
        assert_eq!(counted(reason), count, "{reason}");
    }
}

fn a_good_request_is_asked_for_and_upgraded(backend: Backend) {
    let shard = TestShard::new(backend);
    let stream = shard.raw(request(&[&bearer(&token(1, 900)), &format!("Origin: {ORIGIN}")]).as_bytes());
    let (connection, asked) = shard.admit_request();
    assert_eq!(asked, user(1));
    shard.admit(connection, 1, &[]);
    let mut stream = stream;
    let mut head = [0; 12];
    std::io::Read::read_exact(&mut stream, &mut head).expect("an answer");
    assert_eq!(&head, b"HTTP/1.1 101");
}

fn a_browser_brings_its_token_as_a_protocol(backend: Backend) {
    let shard = TestShard::new(backend);
    let offer = format!("Sec-WebSocket-Protocol: ringside.v1, bearer.{}", token(1, 900));
    let mut stream = shard.raw(request(&[&offer]).as_bytes());
    let (connection, _) = shard.admit_request();
    shard.admit(connection, 1, &[]);
    let mut head = [0; 200];
    let read = std::io::Read::read(&mut stream, &mut head).expect("an answer");
    let head = String::from_utf8_lossy(&head[..read]).into_owned();
    assert!(head.contains("Sec-WebSocket-Protocol: ringside.v1\r\n"), "{head}");
}

fn the_node_may_refuse(backend: Backend) {
    let shard = TestShard::new(backend);
    for (reason, wanted) in [
        (AdmitRefusal::TooManyConnections, "429"),
        (AdmitRefusal::SessionEnded, "401"),
        (AdmitRefusal::Unavailable, "503"),
    ] {
        let stream = shard.raw(request(&[&bearer(&token(1, 900))]).as_bytes());
        let (connection, _) = shard.admit_request();
        shard.post(ToShard::Refused { token: connection.token, reason });
        let answer = read_to_end(stream);
        assert_eq!(status(&answer), wanted, "{answer}");
        assert_eq!(answer.contains("Retry-After"), wanted != "401", "{answer}");
        assert!(matches!(shard.request(), ringside_edge_protocol::ToNode::Closed { .. }));
    }
}

/// A ping, masked with zeros.
const PING: [u8; 8] = [0x89, 0x82, 0, 0, 0, 0, b'h', b'i'];

fn bytes_before_the_answer_wait_for_it(backend: Backend) {
    let shard = TestShard::new(backend);
    let mut bytes = request(&[&bearer(&token(1, 900))]).into_bytes();
    bytes.extend_from_slice(&PING);
    let mut stream = shard.raw(&bytes);
    let (connection, _) = shard.admit_request();
    stream.set_read_timeout(Some(Duration::from_millis(100))).expect("a socket");
    let early = std::io::Read::read(&mut stream, &mut [0; 1]);
    assert!(early.is_err(), "nothing is answered before the node has spoken");
    stream.set_read_timeout(Some(support::PATIENCE)).expect("a socket");
    shard.admit(connection, 1, &[]);
    let mut answer = Vec::new();
    while !answer.ends_with(b"\x8a\x02hi") {
        let mut piece = [0; 512];
        let read = std::io::Read::read(&mut stream, &mut piece).expect("an answer");
        assert!(read > 0, "closed: {}", String::from_utf8_lossy(&answer));
        answer.extend_from_slice(&piece[..read]);
    }
    assert!(answer.starts_with(b"HTTP/1.1 101"), "the pong comes last");
}

fn too_many_bytes_before_the_answer_end_it(backend: Backend) {
    let shard = TestShard::new(backend);
    let mut bytes = request(&[&bearer(&token(1, 900))]).into_bytes();
    bytes.extend_from_slice(&PING.repeat(1_000));
    let stream = shard.raw(&bytes);
    shard.admit_request();
    assert_eq!(status(&read_to_end(stream)), "400");
}

fn who_goes_while_being_admitted_is_reported_gone(backend: Backend) {
    let shard = TestShard::new(backend);
    let stream = shard.raw(request(&[&bearer(&token(1, 900))]).as_bytes());
    let (connection, _) = shard.admit_request();
    drop(stream);
    match shard.request() {
        ringside_edge_protocol::ToNode::Closed { connection: gone } => assert_eq!(gone, connection),
        other => panic!("{other:?}"),
    }
    shard.admit(connection, 1, &[live(CHANNEL, 1)]);
    let (mut client, _) = shard.connect(2, &[]);
    support::say(&mut client, &serde_json::json!({"type": "ping"}));
    assert_eq!(frame(&mut client)["type"], "pong", "a late admission harms nobody");
}

fn one_more_than_the_edge_may_hold_is_told_so(backend: Backend) {
    let shard = TestShard::holding(backend, ringside_types::Limits::default(), 25_000, 1);
    let (mut first, _) = shard.connect(1, &[live(CHANNEL, 10)]);
    let answer = read_to_end(shard.raw(request(&[&bearer(&token(2, 900))]).as_bytes()));
    assert_eq!(status(&answer), "503", "{answer}");
    assert!(answer.contains("\r\nRetry-After: "), "{answer}");
    assert!(shard.nothing_is_asked());
    // There is room again once it is gone.
    first.close(None).expect("it closes");
    while first.read().is_ok() {}
    assert!(matches!(shard.request(), ringside_edge_protocol::ToNode::Closed { .. }));
    shard.connect(2, &[]);
}

fn who_asks_for_nothing_gives_way(backend: Backend) {
    let shard = TestShard::holding(backend, ringside_types::Limits::default(), 25_000, 2);
    let (mut client, _) = shard.connect(1, &[live(CHANNEL, 10)]);
    // As many as the table holds, and half as many again; all of them well within the handshake's time.
    let mut silent: Vec<_> = (0..100).map(|_| shard.raw(b"GET /ws HTTP/1.1\r\n")).collect();
    shard.connect(2, &[]);
    let end = silent[0].read(&mut [0]);
    // A connection that is closed before all of it was read is reset.
    let is_closed =
        end.as_ref().map_or_else(|error| error.kind() == ErrorKind::ConnectionReset, |count| *count == 0);
    assert!(is_closed, "{end:?}");
    support::say(&mut client, &serde_json::json!({"type": "ping"}));
    assert_eq!(frame(&mut client)["type"], "pong", "who is in stays in");
}
