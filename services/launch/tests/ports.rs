//! The API's and the admin port against strangers: heads that are no HTTP, names that are not theirs, bodies that nobody
//! reads, and more connections than they hold.

mod support;

use std::io::{Read as _, Write as _};
use std::net::{SocketAddr, TcpStream};
use std::time::Duration;

use serde_json::Value;
use support::{Server, ask, folder};

/// More than a port holds.
const STRANGERS: usize = 4_300;

fn connect(address: SocketAddr) -> TcpStream {
    let stream = TcpStream::connect(address).expect("it listens");
    stream.set_read_timeout(Some(Duration::from_secs(20))).expect("a socket");
    stream
}

/// The status of each answer, until the server ends the connection.
fn statuses(address: SocketAddr, said: &str) -> Vec<String> {
    let mut stream = connect(address);
    stream.write_all(said.as_bytes()).expect("taken");
    let mut answers = String::new();
    stream.read_to_string(&mut answers).expect("text, and an end");
    let answers = answers.split("HTTP/1.1 ").filter_map(|answer| answer.get(..3));
    answers.filter(|status| status.parse::<u16>().is_ok()).map(str::to_owned).collect()
}

#[test]
fn heads_are_read_as_strictly_as_the_edge_reads_them() {
    let data = folder();
    let server = Server::start(data.path(), &[], &[]);
    for (port, path) in [("api", "/openapi.json"), ("admin", "/health")] {
        let address = server.address(port);
        let host = format!("Host: {address}\r\n");
        let good = format!("GET {path} HTTP/1.1\r\n{host}\r\n");
        let last = format!("GET {path} HTTP/1.1\r\n{host}Connection: close\r\n\r\n");
        assert_eq!(statuses(address, &format!("{good}{last}")), ["200", "200"], "{port}");
        for bad in [
            format!("GET {path} HTTP/1.1\n{host}\r\n"),
            format!("GET {path} HTTP/1.1\r\nHost: {address}\n\r\n"),
            format!("GET {path} HTTP/1.1\r\n{host}\n"),
            format!("GET {path} HTTP/1.1\r\n\r\n"),
            format!("GET {path} HTTP/1.1\r\n{host}{host}\r\n"),
            format!("GET {path} HTTP/1.1\r\n{host}Host: other\r\n\r\n"),
            format!("GET {path} HTTP/1.1\r\nHost:\r\n\r\n"),
            format!("GET {path} HTTP/1.1\r\nHost: a b\r\n\r\n"),
        ] {
            assert_eq!(statuses(address, &bad), ["400"], "{port}: {bad:?}");
            assert_eq!(
                statuses(address, &format!("{good}{bad}")),
                ["200", "400"],
                "{port}: {bad:?} comes second"
            );
        }
    }
}

#[test]
fn the_admin_port_answers_to_its_own_names_alone() {
    let data = folder();
    let server = Server::start(data.path(), &[], &[("RINGSIDE_ADMIN_NAMES", "metrics.example.org")]);
    let asked = |port: &str, host: &str| {
        statuses(
            server.address(port),
            &format!("GET /metrics HTTP/1.1\r\nHost: {host}\r\nConnection: close\r\n\r\n"),
        )
    };
    for (host, status) in [
        ("127.0.0.1", "200"),
        ("localhost:9090", "200"),
        ("Metrics.example.org", "200"),
        ("rebound.example.org", "421"),
        ("192.0.2.1", "421"),
    ] {
        assert_eq!(asked("admin", host), [status], "{host}");
    }
    assert_eq!(asked("api", "chat.example.org"), ["404"], "the API has any name");
}

/// A body of this length, sent in pieces by a slow client that reads nothing before it has sent all; then what it is told.
/// The answer is followed by another request on the same connection.
fn answer_to_slow(address: SocketAddr, request: &str, header: &str, length: usize) -> (u16, Value) {
    const PIECE: usize = 32 * 1024;
    let mut stream = connect(address);
    let head = format!("{request} HTTP/1.1\r\nHost: {address}\r\n{header}Content-Length: {length}\r\n\r\n");
    stream.write_all(head.as_bytes()).expect("taken");
    for _ in 0..length / PIECE {
        // Long enough for an answer that came too early to be on its way back, and for its connection to be closed.
        std::thread::sleep(Duration::from_millis(5));
        stream.write_all(&[b' '; PIECE]).expect("the server still reads");
    }
    let last = format!("GET /nowhere HTTP/1.1\r\nHost: {address}\r\nConnection: close\r\n\r\n");
    stream.write_all(last.as_bytes()).expect("taken");
    let mut answers = String::new();
    stream.read_to_string(&mut answers).expect("an answer, and an end");
    let status = answers.get(9..12).and_then(|status| status.parse().ok()).expect("a status");
    let is_kept = answers.rfind("HTTP/1.1 404 ").is_some_and(|at| at > 0);
    assert!(is_kept, "the connection goes on: {answers}");
    let body = answers.split("\r\n\r\n").nth(1).expect("a body");
    let body = serde_json::Deserializer::from_str(body).into_iter().next().expect("a body").expect("JSON");
    (status, body)
}

#[test]
fn an_answer_reaches_a_client_that_is_still_sending() {
    const MEBIBYTE: usize = 1024 * 1024;
    let data = folder();
    let server = Server::start(data.path(), &[], &[]);
    let (api, admin) = (server.address("api"), server.address("admin"));
    let check = |address, request: &str, header: &str, expected: (u16, &str)| {
        let (status, problem) = answer_to_slow(address, request, header, MEBIBYTE);
        assert_eq!((status, problem["code"].as_str()), (expected.0, Some(expected.1)), "{request}");
        assert_eq!(problem["status"], status);
    };
    let json = "Content-Type: application/json\r\n";
    check(api, "POST /api/v1/auth/login", json, (413, "payload_too_large"));
    check(api, "POST /api/v1/auth/login", "", (415, "unsupported_media_type"));
    check(api, "POST /api/v1/channels", json, (401, "unauthorized"));
    check(api, "POST /api/v1/nowhere", json, (404, "not_found"));
    check(api, "PUT /api/v1/channels", json, (405, "method_not_allowed"));
    check(api, "POST /nowhere", "", (404, "not_found"));
    check(admin, "POST /metrics", "", (405, "method_not_allowed"));
}

#[test]
fn a_method_that_a_path_does_not_take_is_a_problem() {
    let data = folder();
    let server = Server::start(data.path(), &[], &[]);
    for (port, path) in [
        ("admin", "/health"),
        ("admin", "/ready"),
        ("admin", "/metrics"),
        ("admin", "/status"),
        ("api", "/"),
        ("api", "/docs"),
        ("api", "/openapi.json"),
        ("api", "/api/v1/auth/jwks.json"),
    ] {
        let answer = ask(server.address(port), "DELETE", path, "", "");
        let allowed = answer.header("allow").replace(' ', "");
        assert_eq!((answer.status, allowed.as_str()), (405, "GET,HEAD"), "{port} {path}");
        assert_eq!(answer.header("content-type"), "application/problem+json", "{port} {path}");
        assert_eq!(answer.header("x-content-type-options"), "nosniff", "{port} {path}");
        let problem: Value = serde_json::from_slice(&answer.body).expect("JSON");
        assert_eq!(problem["code"], "method_not_allowed", "{port} {path}");
    }
}

#[test]
fn strangers_give_way() {
    let data = folder();
    let server = Server::start(data.path(), &[], &[]);
    for port in ["api", "admin"] {
        let address = server.address(port);
        let strangers: Vec<_> = (0..STRANGERS)
            .map(|number| {
                let mut stream = connect(address);
                if number % 2 == 0 {
                    stream.write_all(b"GET / HTTP/1.1\r\nHost: a\r\n").expect("taken");
                }
                stream
            })
            .collect();
        let (status, _) =
            if port == "api" { server.get_api("/openapi.json") } else { server.get_admin("/health") };
        assert_eq!(status, 200, "{port}");
        drop(strangers);
    }
    let (_, figures) = server.get_admin("/metrics");
    for port in ["api", "admin"] {
        let name = format!("ringside_{port}_evicted_total ");
        let evicted = figures.lines().find_map(|line| line.strip_prefix(&name)).expect("it is counted");
        assert!(evicted.parse::<u64>().is_ok_and(|count| count >= 200), "{port}: {evicted}");
    }
}
