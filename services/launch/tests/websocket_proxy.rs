//! `/ws` behind the API's port: with TLS on, the API's certificate outside, our own and no other inside; and behind a
//! reverse proxy, which is believed where it is trusted.

mod support;

use std::io::{Read as _, Write as _};
use std::net::{SocketAddr, TcpStream};
use std::sync::Arc;
use std::time::Duration;

use support::{Server, folder};
use tokio::net::TcpSocket;
use tokio_rustls::rustls::crypto::ring::default_provider;
use tokio_rustls::rustls::pki_types::{CertificateDer, ServerName};
use tokio_rustls::rustls::{ClientConfig, ClientConnection, RootCertStore, StreamOwned};

const UPGRADE: &str = "GET /ws HTTP/1.1\r\nHost: localhost\r\nUpgrade: websocket\r\nConnection: Upgrade\r\nSec-WebSocket-Version: 13\r\nSec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n";

fn connect(
    address: SocketAddr,
    trusted: &CertificateDer<'static>,
) -> StreamOwned<ClientConnection, TcpStream> {
    let mut roots = RootCertStore::empty();
    roots.add(trusted.clone()).expect("a certificate");
    let config = ClientConfig::builder_with_provider(Arc::new(default_provider()))
        .with_safe_default_protocol_versions()
        .expect("versions")
        .with_root_certificates(roots)
        .with_no_client_auth();
    let name = ServerName::try_from("localhost").expect("a name");
    let stream = TcpStream::connect(address).expect("it listens");
    stream.set_read_timeout(Some(Duration::from_secs(20))).expect("a socket");
    StreamOwned::new(ClientConnection::new(Arc::new(config), name).expect("a client"), stream)
}

/// Reads until `end` has come, or the connection has ended.
fn exchange(
    stream: &mut StreamOwned<ClientConnection, TcpStream>,
    request: &str,
    end: Option<&str>,
) -> String {
    stream.write_all(request.as_bytes()).expect("taken");
    let (mut answer, mut buffer) = (Vec::new(), [0; 4096]);
    loop {
        let text = String::from_utf8_lossy(&answer).into_owned();
        if end.is_some_and(|end| text.contains(end)) {
            return text;
        }
        match stream.read(&mut buffer) {
            Ok(0) => return text,
            Ok(count) => answer.extend_from_slice(&buffer[..count]),
            Err(error) => panic!("{error} after {text:?}"),
        }
    }
}

#[test]
fn opens_with_tls_and_shows_what_the_edge_shows() {
    let data = folder();
    let made = rcgen::generate_simple_self_signed(vec!["localhost".into()]).expect("a certificate");
    let (cert, key) = (data.path().join("cert.pem"), data.path().join("key.pem"));
    std::fs::write(&cert, made.cert.pem()).expect("written");
    std::fs::write(&key, made.signing_key.serialize_pem()).expect("written");
    let (cert, key) = (cert.display().to_string(), key.display().to_string());
    for backend in ["auto", "poll"] {
        let server = Server::start(
            &data.path().join(backend),
            &["--tls-cert", &cert, "--tls-key", &key],
            &[("RINGSIDE_BACKEND", backend)],
        );
        let to = |of: &str| connect(server.address(of), made.cert.der());
        let refused = |of: &str| exchange(&mut to(of), &format!("{UPGRADE}\r\n"), None);
        assert!(refused("edge").starts_with("HTTP/1.1 401"));
        assert_eq!(refused("api"), refused("edge"));

        let body = r#"{"email":"ada@example.org","username":"ada","password":"a long enough phrase"}"#;
        let register = format!(
            "POST /api/v1/auth/register HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\
             Content-Type: application/json\r\nContent-Length: {}\r\n\r\n{body}",
            body.len()
        );
        let answer = exchange(&mut to("api"), &register, None);
        let (_, body) = answer.split_once("\r\n\r\n").expect("a body");
        let registered: serde_json::Value = serde_json::from_str(body).expect("JSON");
        let token = registered["access_token"].as_str().expect("a token");
        let request = format!("{UPGRADE}Authorization: Bearer {token}\r\n\r\n");
        let hello = exchange(&mut to("api"), &request, Some("\"type\":\"hello\""));
        assert!(hello.starts_with("HTTP/1.1 101"), "{hello}");
    }
}

#[test]
fn what_the_parser_refuses_wears_the_headers_of_every_answer() {
    let data = folder();
    let server = Server::start(data.path(), &[], &[]);
    for (port, request) in [
        ("api", "nonsense\r\n\r\n".to_owned()),
        ("admin", "nonsense\r\n\r\n".to_owned()),
        ("api", format!("GET / HTTP/1.1\r\nHost: x\r\nX: {}\r\n\r\n", "x".repeat(64 * 1024))),
        ("admin", "GET /health HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n".to_owned()),
        ("edge", format!("{UPGRADE}\r\n")),
        ("edge", UPGRADE.replace("/ws", "/other") + "\r\n"),
        ("edge", "nonsense\r\n\r\n".to_owned()),
    ] {
        let mut stream = TcpStream::connect(server.address(port)).expect("it listens");
        stream.set_read_timeout(Some(Duration::from_secs(20))).expect("a socket");
        let _ = stream.write_all(request.as_bytes());
        let mut answer = Vec::new();
        let _ = stream.read_to_end(&mut answer);
        let answer = String::from_utf8_lossy(&answer).to_ascii_lowercase();
        assert!(answer.starts_with("http/1.1 "), "{port}: {request:.40}: {answer}");
        for header in [
            "strict-transport-security: ",
            "x-content-type-options: nosniff",
            "x-frame-options: deny",
            "content-security-policy: ",
            "x-xss-protection: ",
            "referrer-policy: ",
        ] {
            assert!(
                answer.contains(&format!("\r\n{header}")),
                "{port}: {request:.40}: no {header}: {answer}"
            );
        }
    }
}

/// A connection from this address of the loopback network.
fn connect_from(source: [u8; 4], to: SocketAddr) -> TcpStream {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().expect("a runtime");
    let connected = runtime.block_on(async {
        let socket = TcpSocket::new_v4()?;
        socket.bind((source, 0).into())?;
        socket.connect(to).await?.into_std()
    });
    let stream = connected.expect("it listens");
    stream.set_nonblocking(false).expect("a socket");
    stream.set_read_timeout(Some(Duration::from_secs(20))).expect("a socket");
    stream
}

/// What a reverse proxy at this address passes on, which keeps no `Host`; the head of the answer to the last request.
fn passed_on(source: [u8; 4], to: SocketAddr, paths: &[&str], lines: &str) -> String {
    let mut stream = connect_from(source, to);
    let mut text = String::new();
    for (number, path) in paths.iter().enumerate() {
        let request = format!("GET {path} HTTP/1.1\r\nHost: {to}\r\n{lines}\r\n");
        stream.write_all(request.as_bytes()).expect("taken");
        let is_last = number + 1 == paths.len();
        text.clear();
        let mut buffer = [0; 4096];
        // An answer before the last one is whole once its head is there: `/api/v1/nonsense` has a short body.
        while !text.contains("\r\n\r\n") || (!is_last && !text.ends_with('}')) {
            match stream.read(&mut buffer).expect("an answer") {
                0 => break,
                count => text += &String::from_utf8_lossy(&buffer[..count]),
            }
        }
    }
    text
}

const PROXY: [u8; 4] = [127, 0, 0, 2];
const STRANGER: [u8; 4] = [127, 0, 0, 3];
const ITSELF: [u8; 4] = [127, 0, 0, 1];
const FORWARDED: &str = "X-Forwarded-Host: chat.example.org\r\nX-Forwarded-Proto: https\r\n";

#[test]
fn behind_a_trusted_proxy_pages_connect_with_nothing_else_set() {
    for backend in ["auto", "poll"] {
        let data = folder();
        let trust = [("RINGSIDE_TRUSTED_PROXIES", "127.0.0.2"), ("RINGSIDE_BACKEND", backend)];
        let server = Server::start(data.path(), &[], &trust);
        let api = server.address("api");
        let (proxied, direct) = ("wss://chat.example.org", format!("ws://{}", server.address("edge")));

        let page = |source| passed_on(source, api, &["/"], FORWARDED).to_lowercase();
        assert!(page(PROXY).contains(&format!(" connect-src 'self' {proxied};")), "{}", page(PROXY));
        for stranger in [STRANGER, ITSELF] {
            let page = page(stranger);
            assert!(page.contains(&direct) && !page.contains("chat.example.org"), "{page}");
        }

        let person = server.register("ada");
        let token = person["access_token"].as_str().expect("a token");
        let bearer = format!("Authorization: Bearer {token}\r\nConnection: close\r\n{FORWARDED}");
        let edge = |source| {
            let mut stream = connect_from(source, api);
            let request = format!("GET /api/v1/edge HTTP/1.1\r\nHost: {api}\r\n{bearer}\r\n");
            stream.write_all(request.as_bytes()).expect("taken");
            let mut answer = String::new();
            stream.read_to_string(&mut answer).expect("text");
            answer
        };
        assert!(edge(PROXY).ends_with(&format!(r#"{{"url":"{proxied}/ws"}}"#)), "{}", edge(PROXY));
        assert!(edge(STRANGER).ends_with(&format!(r#"{{"url":"{direct}/ws"}}"#)), "{}", edge(STRANGER));

        // As a browser asks, at the API's port and at the edge's; at once, or after another request.
        let upgrade = |origin: &str| {
            format!(
                "Upgrade: websocket\r\nConnection: Upgrade\r\nSec-WebSocket-Version: 13\r\n\
                 Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\nOrigin: {origin}\r\n\
                 Sec-WebSocket-Protocol: ringside.v1, bearer.{token}\r\n{FORWARDED}"
            )
        };
        let status = |source, port: &str, paths: &[&str], origin: &str| {
            let answer = passed_on(source, server.address(port), paths, &upgrade(origin));
            answer.split(' ').nth(1).unwrap_or_default().to_owned()
        };
        for port in ["api", "edge"] {
            assert_eq!(status(PROXY, port, &["/ws"], "https://chat.example.org"), "101", "{backend} {port}");
            for foreign in
                ["https://evil.example", "http://chat.example.org", "https://chat.example.org:8443"]
            {
                assert_eq!(status(PROXY, port, &["/ws"], foreign), "403", "{backend} {port} {foreign}");
            }
            for stranger in [STRANGER, ITSELF] {
                let status = status(stranger, port, &["/ws"], "https://chat.example.org");
                assert_eq!(status, "403", "{backend} {port}: nobody believes them");
            }
        }
        let kept = ["/api/v1/nonsense", "/ws"];
        assert_eq!(status(PROXY, "api", &kept, "https://chat.example.org"), "101", "{backend}");
        assert_eq!(status(STRANGER, "api", &kept, "https://chat.example.org"), "403", "{backend}");
    }
}

#[test]
fn the_way_through_the_proxy_lends_nobody_its_trust() {
    let data = folder();
    // The proxy itself reaches the edge from this address.
    let server = Server::start(data.path(), &[], &[("RINGSIDE_TRUSTED_PROXIES", "127.0.0.1")]);
    let person = server.register("ada");
    let token = person["access_token"].as_str().expect("a token");
    let lines = format!(
        "Upgrade: websocket\r\nConnection: Upgrade\r\nSec-WebSocket-Version: 13\r\n\
         Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\nOrigin: https://chat.example.org\r\n\
         Authorization: Bearer {token}\r\n{FORWARDED}"
    );
    let status = |source| passed_on(source, server.address("api"), &["/ws"], &lines)[9..12].to_owned();
    assert_eq!((status(ITSELF).as_str(), status(STRANGER).as_str()), ("101", "403"));
}

#[test]
fn the_admin_port_answers_to_a_forwarded_name_only_where_it_is_its_own() {
    let data = folder();
    let names = [("RINGSIDE_TRUSTED_PROXIES", "127.0.0.2"), ("RINGSIDE_ADMIN_NAMES", "status.example.org")];
    let server = Server::start(data.path(), &[], &names);
    let status = |source, name: &str| {
        let lines = format!("X-Forwarded-Host: {name}\r\n");
        passed_on(source, server.address("admin"), &["/health"], &lines)[9..12].to_owned()
    };
    assert_eq!(status(PROXY, "status.example.org"), "200");
    assert_eq!(status(PROXY, "evil.example.org"), "421");
    assert_eq!(status(STRANGER, "evil.example.org"), "200", "what a stranger says is not looked at");
}
