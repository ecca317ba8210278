//! `/ws` behind the API's port: whoever comes in there sees what the edge itself would show.

use ringside_test_client::server::Addresses;
use ringside_test_client::websocket::{Incoming, ServerFrame};
use serde_json::Value;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;
use tokio::time::timeout;

use crate::bad_input::bad_handshakes::{malformed, upgrade};
use crate::test_server::{ANSWER_DEADLINE, Client, Failed, TestServer, answer_pings, expect, pair, register};
use crate::{drain, slow_reader};

/// All that comes back, until the server ends the connection.
async fn whole(address: std::net::SocketAddr, request: &[u8]) -> Result<Vec<u8>, Failed> {
    let mut stream = TcpStream::connect(address).await?;
    let _ = stream.write_all(request).await;
    let mut answer = Vec::new();
    let read = timeout(ANSWER_DEADLINE, stream.read_to_end(&mut answer)).await;
    // An end by reset is one, too: the server refused before it had read all.
    let _ = read.map_err(|_| Failed("the connection did not end".to_owned()))?;
    Ok(answer)
}

pub(crate) async fn answers_are_the_edges_own(test_server: &TestServer) -> Result<(), Failed> {
    let server = test_server.start(&[]).await?;
    let account = register(&server, 1).await?.remove(0);
    let Addresses { api, edge, .. } = server.addresses;
    let token = &account.access_token;
    let mut wrong = Vec::new();
    for (what, request, status) in malformed(token) {
        // Another path is the API's, and what has no request line is nobody's.
        if status == 101 || !request.contains("/ws ") {
            continue;
        }
        let (there, here) = (whole(edge, request.as_bytes()).await?, whole(api, request.as_bytes()).await?);
        if here.is_empty() || here != there {
            wrong.push(format!("{what}: {:?} became {:?}", text(&there), text(&here)));
        }
    }
    for origin in ["127.0.0.1", "localhost"] {
        let line = format!("Origin: http://{origin}:{}\r\n", api.port());
        let answer = upgrade(api, token, &line).await?;
        if !answer.starts_with("HTTP/1.1 101") {
            wrong.push(format!("{line} was answered {answer}"));
        }
    }
    expect(wrong.is_empty(), || wrong.join("; "))?;
    let named = server.addresses.rest().call(hyper::Method::GET, "/api/v1/edge", Some(token), None).await?;
    let named: Value = named.read("the edge", &[200])?;
    expect(named["url"] == format!("ws://{edge}/ws"), || format!("the edge is named {named}"))
}

fn text(bytes: &[u8]) -> String {
    String::from_utf8_lossy(bytes).into_owned()
}

pub(crate) async fn connections_live_and_end_as_at_the_edge(test_server: &TestServer) -> Result<(), Failed> {
    let server = test_server.start(&[]).await?;
    let (first, second, channel) = pair(&server).await?;
    let websocket_proxy = server.addresses.websocket_proxy();
    let mut here = Client::open(&websocket_proxy, &first).await?;
    let mut there = Client::open(&server.addresses.target(), &second).await?;
    let id = here.say(channel, "through the door").await?;
    let seen = |frame| matches!(frame, ServerFrame::New(message) if message.client_id == id).then_some(());
    there.until("the message", seen).await?;
    let large = "x".repeat(60_000);
    there.say(channel, &large).await?;
    here.until("the answer", |frame| {
        matches!(frame, ServerFrame::New(message) if message.content == large).then_some(())
    })
    .await?;
    // The limit of connections counts both ways in.
    answer_pings(there);
    for _ in 0..4 {
        answer_pings(Client::open(&websocket_proxy, &second).await?);
    }
    let sixth = upgrade(server.addresses.api, &second.access_token, "").await?;
    expect(sixth.starts_with("HTTP/1.1 429"), || format!("the sixth connection was answered {sixth}"))?;
    let path = "/api/v1/auth/logout";
    let none = server.addresses.rest().call(hyper::Method::POST, path, None, None).await?;
    expect(none.status >= 400, || "a logout without a token was taken".to_owned())?;
    // Longer than a message may be: closed with 1009.
    here.socket.send(&"y".repeat(70_000)).await?;
    loop {
        match here.incoming().await? {
            Incoming::Text(_) => {}
            Incoming::Closed(code) => {
                return expect(code == Some(1009), || format!("an oversize message closed with {code:?}"));
            }
        }
    }
}

pub(crate) async fn a_kept_connection_of_a_proxy_may_turn_to_it(
    test_server: &TestServer,
) -> Result<(), Failed> {
    let server = test_server.start(&[]).await?;
    let account = register(&server, 1).await?.remove(0);
    let mut stream = TcpStream::connect(server.addresses.api).await?;
    stream.write_all(b"GET /api/v1/auth/jwks.json HTTP/1.1\r\nHost: api\r\n\r\n").await?;
    let first = read_until(&mut stream, "]}").await?;
    expect(first.starts_with("HTTP/1.1 200"), || format!("the keys were answered {first}"))?;
    let upgrade_request = format!(
        "GET /ws HTTP/1.1\r\nHost: api\r\nUpgrade: websocket\r\nConnection: Upgrade\r\nSec-WebSocket-Version: 13\r\n\
         Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\nAuthorization: Bearer {}\r\n\r\n",
        account.access_token
    );
    stream.write_all(upgrade_request.as_bytes()).await?;
    let second = read_until(&mut stream, "\"type\":\"hello\"").await?;
    expect(second.starts_with("HTTP/1.1 101"), || format!("the upgrade was answered {second}"))
}

async fn read_until(stream: &mut TcpStream, end: &str) -> Result<String, Failed> {
    let mut answer = Vec::new();
    let search = async {
        while !text(&answer).contains(end) {
            if stream.read_buf(&mut answer).await? == 0 {
                break;
            }
        }
        Ok::<(), std::io::Error>(())
    };
    timeout(ANSWER_DEADLINE, search).await.map_err(|_| Failed(format!("no {end}")))??;
    Ok(text(&answer))
}

pub(crate) async fn stalled_reader_is_let_go_there_as_well(test_server: &TestServer) -> Result<(), Failed> {
    slow_reader::stall_reader(test_server, Addresses::websocket_proxy).await
}

pub(crate) async fn clients_are_told_of_a_drain_there_as_well(
    test_server: &TestServer,
) -> Result<(), Failed> {
    drain::drain_clients(test_server, Addresses::websocket_proxy).await
}
