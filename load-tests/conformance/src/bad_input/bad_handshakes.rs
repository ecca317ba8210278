//! Upgrade requests that are wrong, each with the status that the contract gives it.

use std::net::SocketAddr;
use std::time::{Duration, Instant};

use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;
use tokio::time::{sleep, timeout};

use crate::test_server::{ANSWER_DEADLINE, Failed, TestServer, expect, register};

const GOOD: &str = "Host: edge\r\nUpgrade: websocket\r\nConnection: Upgrade\r\nSec-WebSocket-Version: 13\r\nSec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n";
/// From accept to the answer 408, by the contract.
const HANDSHAKE_DEADLINE: Duration = Duration::from_secs(10);

/// A well-formed upgrade with these further header lines; returns the head of the answer.
pub(crate) async fn upgrade(edge: SocketAddr, token: &str, lines: &str) -> Result<String, Failed> {
    let request = format!("GET /ws HTTP/1.1\r\n{GOOD}Authorization: Bearer {token}\r\n{lines}\r\n");
    exchange(edge, request.as_bytes()).await
}

/// Sends bytes as they are and returns the beginning of the answer.
async fn exchange(edge: SocketAddr, request: &[u8]) -> Result<String, Failed> {
    let mut stream = TcpStream::connect(edge).await?;
    // A server that refuses early may not take it all.
    let _ = stream.write_all(request).await;
    timeout(ANSWER_DEADLINE, head(&mut stream)).await.map_err(|_| Failed("no answer".to_owned()))?
}

async fn head(stream: &mut TcpStream) -> Result<String, Failed> {
    let mut answer = Vec::new();
    let mut buffer = [0; 4096];
    while !answer.windows(4).any(|end| end == b"\r\n\r\n") {
        match stream.read(&mut buffer).await {
            Ok(0) | Err(_) => break,
            Ok(count) => answer.extend_from_slice(&buffer[..count]),
        }
    }
    Ok(String::from_utf8_lossy(&answer).into_owned())
}

pub(crate) async fn malformed_requests_get_their_status(test_server: &TestServer) -> Result<(), Failed> {
    let server = test_server.start(&[]).await?;
    let account = register(&server, 1).await?.remove(0);
    let mut wrong = Vec::new();
    for (what, request, status) in malformed(&account.access_token) {
        let answer = exchange(server.addresses.edge, request.as_bytes()).await?;
        if !answer.starts_with(&format!("HTTP/1.1 {status}")) {
            wrong.push(format!(
                "{what}: {status} expected, got {:?}",
                answer.lines().next().unwrap_or("nothing")
            ));
        } else if status != 101 && !answer.to_ascii_lowercase().contains("connection: close") {
            wrong.push(format!("{what}: no Connection: close"));
        } else if status == 426 && !answer.contains("13") {
            wrong.push(format!("{what}: the answer doesn't name version 13"));
        }
    }
    expect(wrong.is_empty(), || wrong.join("; "))
}

/// What is asked, the bytes, and the status of the answer.
pub(crate) fn malformed(token: &str) -> Vec<(&'static str, String, u16)> {
    let auth = format!("Authorization: Bearer {token}\r\n");
    let get = |lines: &str| format!("GET /ws HTTP/1.1\r\n{lines}{auth}\r\n");
    let without = |line: &str| get(&GOOD.replace(line, ""));
    let large = format!("X-Padding: {}\r\n", "p".repeat(17 * 1024));
    vec![
        ("all is well", get(GOOD), 101),
        ("a bare LF", get(GOOD).replace("\r\n", "\n"), 400),
        ("one bare LF", format!("GET /ws HTTP/1.1\nHost: edge\r\n{auth}\r\n"), 400),
        ("no request line", "nonsense\r\n\r\n".to_owned(), 400),
        ("HTTP/1.0", get(GOOD).replace("HTTP/1.1", "HTTP/1.0"), 400),
        ("no Host", without("Host: edge\r\n"), 400),
        ("two Hosts", get(&format!("Host: other\r\n{GOOD}")), 400),
        ("no Upgrade", without("Upgrade: websocket\r\n"), 400),
        ("no Connection", without("Connection: Upgrade\r\n"), 400),
        ("no key", without("Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n"), 400),
        ("a short key", get(&GOOD.replace("dGhlIHNhbXBsZSBub25jZQ==", "c2hvcnQ=")), 400),
        ("a space before the colon", get(&GOOD.replace("Host:", "Host :")), 400),
        ("a folded line", get(&format!("{GOOD}X-Folded: a\r\n b\r\n")), 400),
        ("a control character", get(&format!("{GOOD}X-Control: a\u{1}b\r\n")), 400),
        ("a body", get(&format!("{GOOD}Content-Length: 5\r\n")), 400),
        ("a chunked body", get(&format!("{GOOD}Transfer-Encoding: chunked\r\n")), 400),
        ("another path", get(GOOD).replace("/ws", "/other"), 404),
        ("POST", get(GOOD).replace("GET", "POST"), 405),
        ("version 8", get(&GOOD.replace("Version: 13", "Version: 8")), 426),
        (
            "version 8 before the token",
            get(&GOOD.replace("Version: 13", "Version: 8")).replace("Bearer ", "Bearer x"),
            426,
        ),
        ("17 KiB of headers", get(&format!("{GOOD}{large}")), 431),
        ("Origin null", get(&format!("{GOOD}Origin: null\r\n")), 403),
        ("a foreign Origin", get(&format!("{GOOD}Origin: https://evil.example\r\n")), 403),
        ("an Origin that begins well", get(&format!("{GOOD}Origin: http://localhost.evil.example\r\n")), 403),
        ("no token", format!("GET /ws HTTP/1.1\r\n{GOOD}\r\n"), 401),
    ]
}

pub(crate) async fn bad_tokens_are_refused(test_server: &TestServer) -> Result<(), Failed> {
    let server = test_server.start(&[]).await?;
    let account = register(&server, 1).await?.remove(0);
    let token = &account.access_token;
    let parts: Vec<&str> = token.split('.').collect();
    let &[header, claims, signature] = parts.as_slice() else {
        return Err(Failed(format!("the access token has {} parts", parts.len())));
    };
    // {"alg":"none","typ":"JWT"} and {"alg":"HS256","typ":"JWT"}
    let none = "eyJhbGciOiJub25lIiwidHlwIjoiSldUIn0";
    let shared = "eyJhbGciOiJIUzI1NiIsInR5cCI6IkpXVCJ9";
    let flipped = format!("{}{}", if signature.starts_with('A') { "B" } else { "A" }, &signature[1..]);
    let tokens = [
        "garbage".to_owned(),
        "a.b.c".to_owned(),
        format!("{none}.{claims}."),
        format!("{none}.{claims}.{signature}"),
        format!("{shared}.{claims}.{signature}"),
        format!("{header}.{claims}."),
        format!("{header}.{claims}.{flipped}"),
        format!("{header}.{claims}x.{signature}"),
        token[..token.len() - 4].to_owned(),
    ];
    for bad in &tokens {
        let answer = upgrade(server.addresses.edge, bad, "").await?;
        expect(answer.starts_with("HTTP/1.1 401"), || format!("token {bad} was answered {answer}"))?;
        let described = answer.to_ascii_lowercase().contains("application/problem+json");
        expect(described, || format!("the 401 carries no problem: {answer}"))?;
    }
    let answer = upgrade(server.addresses.edge, token, "").await?;
    expect(answer.starts_with("HTTP/1.1 101"), || format!("the good token was answered {answer}"))
}

pub(crate) async fn half_open_handshakes_time_out(test_server: &TestServer) -> Result<(), Failed> {
    let server = test_server.start(&[]).await?;
    let since = Instant::now();
    let mut silent = TcpStream::connect(server.addresses.edge).await?;
    let mut halted = TcpStream::connect(server.addresses.edge).await?;
    halted.write_all(b"GET /ws HTTP/1.1\r\nHost: edge\r\nUpgr").await?;
    for (what, stream) in [("a silent connection", &mut silent), ("half a request", &mut halted)] {
        let answer = timeout(HANDSHAKE_DEADLINE * 2, head(stream)).await??;
        expect(answer.starts_with("HTTP/1.1 408"), || format!("{what} was answered {answer:?}"))?;
    }
    let waited = since.elapsed();
    let in_time = waited > HANDSHAKE_DEADLINE - Duration::from_secs(2)
        && waited < HANDSHAKE_DEADLINE + Duration::from_secs(3);
    expect(in_time, || format!("half-open handshakes ended after {waited:?}"))
}

/// A byte now and then does not keep a handshake open.
pub(crate) async fn slow_headers_time_out(test_server: &TestServer) -> Result<(), Failed> {
    let server = test_server.start(&[]).await?;
    let mut stream = TcpStream::connect(server.addresses.edge).await?;
    let since = Instant::now();
    let mut ended = Vec::new();
    stream.write_all(b"GET /ws HTTP/1.1\r\nX-Slow: ").await?;
    while since.elapsed() < HANDSHAKE_DEADLINE + Duration::from_secs(4) {
        if stream.write_all(b"s").await.is_err() {
            break;
        }
        let mut buffer = [0; 256];
        match timeout(Duration::from_millis(500), stream.read(&mut buffer)).await {
            Ok(Ok(0) | Err(_)) => break,
            Ok(Ok(count)) => ended.extend_from_slice(&buffer[..count]),
            Err(_) => {}
        }
        sleep(Duration::from_millis(100)).await;
    }
    let waited = since.elapsed();
    expect(waited < HANDSHAKE_DEADLINE + Duration::from_secs(3), || format!("still open after {waited:?}"))?;
    let answer = String::from_utf8_lossy(&ended);
    expect(answer.is_empty() || answer.starts_with("HTTP/1.1 408"), || format!("the end was {answer:?}"))
}
