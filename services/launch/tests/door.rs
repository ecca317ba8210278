//! `/ws` behind the API's port with TLS on: the API's certificate outside, our own and no other inside.

mod support;

use std::io::{Read as _, Write as _};
use std::net::{SocketAddr, TcpStream};
use std::sync::Arc;
use std::time::Duration;

use support::{Server, folder};
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
