//! Frames and commands that are wrong: the RFC's close codes, or an `error` on a connection that lives on.

use std::net::SocketAddr;
use std::time::{Duration, Instant};

use ringside_test_client::process::resident_bytes;
use ringside_test_client::websocket::{Input, Machine, ServerFrame, Target};
use ringside_websocket::{Opcode, write_frame};
use serde_json::json;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;
use tokio::time::timeout;
use uuid::Uuid;

use crate::test_server::{Client, Failed, TestServer, expect, pair, register};

/// A violation is answered at once.
const AT_ONCE: Duration = Duration::from_secs(2);
const MASK: [u8; 4] = [1, 2, 3, 4];

/// Upgrades, writes these bytes in place of frames, and waits for the close.
async fn close_code(edge: SocketAddr, token: &str, bytes: &[u8]) -> Result<Option<u16>, Failed> {
    let mut stream = TcpStream::connect(edge).await?;
    let mut out = Vec::new();
    let mut machine = Machine::connect(&mut out, &Target::at(edge), token, Uuid::new_v4().as_u128());
    stream.write_all(&out).await?;
    let mut buffer = vec![0; 16 * 1024];
    let mut was_sent = false;
    let mut since = Instant::now();
    loop {
        if machine.is_open() && !was_sent {
            stream.write_all(bytes).await?;
            was_sent = true;
            since = Instant::now();
        }
        let limit = if was_sent { AT_ONCE.saturating_sub(since.elapsed()) } else { AT_ONCE * 5 };
        let read = timeout(limit, stream.read(&mut buffer)).await;
        let count = read.map_err(|_| Failed("the connection stays open".to_owned()))??;
        if count == 0 {
            return Err(Failed("the connection ended without a close frame".to_owned()));
        }
        let mut closed = None;
        machine.receive(&mut buffer[..count], &mut out, &mut |input| {
            if let Input::Closed(code) = input {
                closed = Some(code);
            }
        })?;
        if let Some(code) = closed {
            return Ok(code);
        }
    }
}

pub(crate) async fn a_header_of_one_tebibyte_is_refused_at_once(
    test_server: &TestServer,
) -> Result<(), Failed> {
    let server = test_server.start(&[]).await?;
    let account = register(&server, 1).await?.remove(0);
    let before = server.pid().and_then(resident_bytes).unwrap_or(0);
    for opcode in [0x81, 0x82] {
        let mut header = vec![opcode, 0x80 | 127];
        header.extend_from_slice(&(1u64 << 40).to_be_bytes());
        header.extend_from_slice(&MASK);
        let code = close_code(server.addresses.edge, &account.access_token, &header).await?;
        // A binary frame may as well be refused for being binary.
        expect(code == Some(1009) || (opcode == 0x82 && code == Some(1003)), || {
            format!("opcode {opcode:#x} with 1 TiB closed with {code:?}")
        })?;
    }
    let after = server.pid().and_then(resident_bytes).unwrap_or(0);
    expect(after < before + 64 * 1024 * 1024, || format!("the server grew from {before} to {after} bytes"))
}

pub(crate) async fn protocol_violations_close_with_their_code(
    test_server: &TestServer,
) -> Result<(), Failed> {
    let server = test_server.start(&[("connections_per_user", 0)]).await?;
    let account = register(&server, 1).await?.remove(0);
    let framed = |opcode, payload: &[u8], mask| {
        let mut out = Vec::new();
        write_frame(&mut out, opcode, payload, mask);
        out
    };
    let table: Vec<(&str, Vec<u8>, u16)> = vec![
        ("binary", framed(Opcode::Binary, b"{}", Some(MASK)), 1003),
        ("broken UTF-8", framed(Opcode::Text, b"\xff\xfe", Some(MASK)), 1007),
        ("no mask", framed(Opcode::Text, b"{}", None), 1002),
        ("a reserved bit", vec![0xc1, 0x80, 1, 2, 3, 4], 1002),
        ("a reserved opcode", vec![0x83, 0x80, 1, 2, 3, 4], 1002),
        ("a continuation of nothing", framed(Opcode::Continuation, b"x", Some(MASK)), 1002),
        ("a ping in fragments", vec![0x09, 0x80, 1, 2, 3, 4], 1002),
        ("a long ping", vec![0x89, 0x80 | 126, 0, 126, 1, 2, 3, 4], 1002),
        ("a length not minimal", vec![0x81, 0x80 | 126, 0, 5, 1, 2, 3, 4], 1002),
        ("200 KiB", framed(Opcode::Text, &vec![b'x'; 200 * 1024], Some(MASK)), 1009),
    ];
    let mut wrong = Vec::new();
    for (what, bytes, expected) in table {
        match close_code(server.addresses.edge, &account.access_token, &bytes).await {
            Ok(Some(code)) if code == expected => {}
            Ok(code) => wrong.push(format!("{what}: {expected} expected, got {code:?}")),
            Err(Failed(reason)) => wrong.push(format!("{what}: {reason}")),
        }
    }
    expect(wrong.is_empty(), || wrong.join("; "))
}

async fn error_code(client: &mut Client, text: &str) -> Result<String, Failed> {
    client.socket.send(text).await?;
    client
        .until("the error", |frame| match frame {
            ServerFrame::Error { code, .. } => Some(code),
            ServerFrame::Ack { .. } => Some("ack".to_owned()),
            _ => None,
        })
        .await
}

pub(crate) async fn bad_json_is_answered_and_the_connection_lives(
    test_server: &TestServer,
) -> Result<(), Failed> {
    let server = test_server.start(&[]).await?;
    let account = register(&server, 1).await?.remove(0);
    let mut client = Client::open(&server.addresses.target(), &account).await?;
    let deep = format!(r#"{{"type":"ping","payload":{}1{}}}"#, r#"{"a":"#.repeat(500), "}".repeat(500));
    let long = json!({ "type": "t".repeat(300), "id": "long" }).to_string();
    let arrays = format!(r#"{{"type":"ping","payload":{{"a":{}{}}}}}"#, "[".repeat(5000), "]".repeat(5000));
    let table = [
        ("", "bad_request"),
        ("nonsense", "bad_request"),
        ("[]", "bad_request"),
        ("42", "bad_request"),
        ("{", "bad_request"),
        (r#"{"payload":{}}"#, "bad_request"),
        (r#"{"type":7}"#, "bad_request"),
        (r#"{"type":"message.send","id":"x"}"#, "bad_request"),
        (r#"{"type":"no.such.type","id":"x"}"#, "unknown_type"),
        (&long, "unknown_type"),
        (&deep, "bad_request"),
        (&arrays, "bad_request"),
    ];
    let mut wrong = Vec::new();
    for (text, expected) in table {
        let shown: String = text.chars().take(60).collect();
        match error_code(&mut client, text).await {
            Ok(code) if code == expected => {}
            Ok(code) => wrong.push(format!("{shown:?}: {expected} expected, got {code}")),
            Err(Failed(reason)) => return Err(Failed(format!("{shown:?}: {reason}"))),
        }
    }
    client.socket.send(&long).await?;
    let echoed = |frame| match frame {
        ServerFrame::Error { id, .. } => Some(id),
        _ => None,
    };
    let id = client.until("the error", echoed).await?;
    expect(id.as_deref() == Some("long"), || format!("a long type was answered with the id {id:?}"))?;
    client.is_alive().await?;
    expect(wrong.is_empty(), || wrong.join("; "))
}

pub(crate) async fn invalid_commands_are_answered(test_server: &TestServer) -> Result<(), Failed> {
    let server = test_server.start(&[]).await?;
    let (first, _, channel) = pair(&server).await?;
    let mut client = Client::open(&server.addresses.target(), &first).await?;
    let id = Uuid::new_v4().to_string();
    let send = |id: &str, channel: &str, content: &str, kind: &str| {
        let payload = json!({ "channel_id": channel, "content": content, "content_type": kind });
        json!({ "type": "message.send", "id": id, "payload": payload }).to_string()
    };
    let (own, foreign) = (channel.to_string(), Uuid::new_v4().to_string());
    let attach = |metadata: &str| {
        let frame = send(&Uuid::new_v4().to_string(), &own, "x", "text");
        frame.replacen(r#""content":"x""#, &format!(r#""content":"x","metadata":{metadata}"#), 1)
    };
    let table = [
        ("metadata that is no object", attach("[1]"), "bad_request"),
        ("metadata with a number that nobody reads", attach(r#"{"a":1e400}"#), "bad_request"),
        ("metadata with half a surrogate pair", attach(r#"{"a":"\udc00"}"#), "bad_request"),
        ("metadata with such a key", attach(r#"{"\ud800":1}"#), "bad_request"),
        ("good metadata", attach(r#"{"a":[1.5,"\ud83d\udc4d",null]}"#), "ack"),
        ("empty content", send(&id, &own, "", "text"), "bad_request"),
        ("a foreign channel", send(&id, &foreign, "x", "text"), "not_a_member"),
        ("no UUID for a channel", send(&id, "seven", "x", "text"), "bad_request"),
        ("no UUID for an id", send("seven", &own, "x", "text"), "bad_request"),
        ("an unknown content type", send(&id, &own, "x", "hologram"), "bad_request"),
        ("all is well after that", send(&id, &own, "x", "text"), "ack"),
    ];
    let mut wrong = Vec::new();
    for (what, text, expected) in table {
        let code = error_code(&mut client, &text)
            .await
            .map_err(|Failed(reason)| Failed(format!("{what}: {reason}")))?;
        if code != expected {
            wrong.push(format!("{what}: {expected} expected, got {code}"));
        }
    }
    expect(wrong.is_empty(), || wrong.join("; "))
}
