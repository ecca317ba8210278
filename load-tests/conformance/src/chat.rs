//! The main thing, once more through somebody else's client.

use futures_util::{SinkExt, StreamExt};
use ringside_test_client::websocket::ServerFrame;
use serde_json::Value;
use tokio::time::timeout;
use tokio_tungstenite::tungstenite::Message;
use tokio_tungstenite::tungstenite::client::IntoClientRequest;
use uuid::Uuid;

use crate::test_server::{ANSWER_DEADLINE, Client, Failed, TestServer, expect, message, pair};

/// The browser's way in: token as a subprotocol, `ringside.v1` selected.
pub(crate) async fn two_people_chat_through_a_public_client(test_server: &TestServer) -> Result<(), Failed> {
    let server = test_server.start(&[]).await?;
    let (first, second, channel) = pair(&server).await?;
    let mut reader = Client::open(&server.addresses.target(), &second).await?;

    let mut request = format!("ws://{}/ws", server.addresses.edge).into_client_request()?;
    let protocols = format!("ringside.v1, bearer.{}", first.access_token);
    request.headers_mut().insert("Sec-WebSocket-Protocol", protocols.parse()?);
    let (mut socket, response) = tokio_tungstenite::connect_async(request).await?;
    let selected = response.headers().get("Sec-WebSocket-Protocol").and_then(|value| value.to_str().ok());
    expect(selected == Some("ringside.v1"), || format!("the selected subprotocol is {selected:?}"))?;

    let id = Uuid::new_v4();
    socket.send(Message::text(message(id, channel, "Grüße, \"Welt\" 🦀"))).await?;
    let mut expected = vec!["hello", "message.ack", "message.new"];
    while !expected.is_empty() {
        let received = timeout(ANSWER_DEADLINE, socket.next()).await?;
        let Some(Message::Text(text)) = received.transpose()? else { continue };
        let frame: Value = serde_json::from_str(&text)?;
        expected.retain(|kind| frame["type"] != *kind);
        if frame["type"] == "message.new" {
            expect(frame["payload"]["content"] == "Grüße, \"Welt\" 🦀", || {
                format!("the content came as {frame}")
            })?;
            expect(frame["payload"]["seq"] == 1, || {
                format!("the first message has seq {}", frame["payload"]["seq"])
            })?;
        }
    }
    let seen = reader.until("message.new", |frame| match frame {
        ServerFrame::New(message) => Some(message),
        _ => None,
    });
    let seen = seen.await?;
    expect(seen.client_id == id && seen.sender.id == first.user_id, || format!("the other side saw {seen:?}"))
}

/// N retries, one message, on one connection and on another.
pub(crate) async fn retries_make_one_message(test_server: &TestServer) -> Result<(), Failed> {
    let server = test_server.start(&[]).await?;
    let (first, _, channel) = pair(&server).await?;
    let mut sender = Client::open(&server.addresses.target(), &first).await?;
    let id = Uuid::new_v4();
    for _ in 0..3 {
        sender.socket.send(&message(id, channel, "once")).await?;
        sender.acknowledged(id).await?;
    }
    let mut again = Client::open(&server.addresses.target(), &first).await?;
    again.socket.send(&message(id, channel, "once")).await?;
    again.acknowledged(id).await?;
    let last = again.say(channel, "the last").await?;
    again
        .until("the last message", |frame| {
            matches!(frame, ServerFrame::New(m) if m.client_id == last).then_some(())
        })
        .await?;
    let history = server.addresses.rest().history(&first.access_token, channel).await?;
    expect(history.len() == 2, || format!("five sends of two messages made {}", history.len()))
}
