//! The API's and the admin port against strangers: heads that are no HTTP, names that are not theirs, and more
//! connections than they hold.

mod support;

use std::io::{Read as _, Write as _};
use std::net::{SocketAddr, TcpStream};
use std::time::Duration;

use support::{Server, folder};

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
