//! A slow reader loses its connection, never its messages, and nobody else notices.

use std::time::Duration;

use ringside_test_client::server::{Addresses, ServerProcess};
use ringside_test_client::websocket::{Incoming, ServerFrame, Target, parse};
use tokio::time::timeout;
use uuid::Uuid;

use crate::test_server::{Client, Failed, TestServer, expect, message, pair};

/// More than the server's queue and both kernels' buffers take together.
const MESSAGES: usize = 1500;
const CONTENT_BYTES: usize = 16 * 1024;

pub(crate) async fn stalled_reader_is_let_go_and_syncs_to_completeness(
    test_server: &TestServer,
) -> Result<(), Failed> {
    stall_reader(test_server, Addresses::target).await
}

/// The same wherever the clients come in.
pub(crate) async fn stall_reader(
    test_server: &TestServer,
    entry: fn(&Addresses) -> Target,
) -> Result<(), Failed> {
    let spec = test_server.spec(&[]).without_limits();
    let server = ServerProcess::start(&spec).await?;
    let (first, second, channel) = pair(&server).await?;
    let target = entry(&server.addresses);
    let mut stalled = Client::open(&target, &second).await?;
    let mut sender = Client::open(&target, &first).await?;

    // The stalled one reads nothing from here on, until all is sent.
    let content = "z".repeat(CONTENT_BYTES);
    let mut sent = Vec::with_capacity(MESSAGES);
    for _ in 0..MESSAGES {
        let id = Uuid::new_v4();
        sender.socket.send(&message(id, channel, &content)).await?;
        sender.acknowledged(id).await?;
        sent.push(id);
    }
    let (goodbye, code) = timeout(Duration::from_secs(20), read_to_close(&mut stalled)).await??;
    expect(goodbye.as_deref() == Some("slow_consumer"), || {
        format!("the goodbye before the close was {goodbye:?}")
    })?;
    expect(code == Some(4108), || format!("the stalled reader was closed with {code:?}"))?;

    sender.is_alive().await?;
    let mut back = Client::open(&target, &second).await?;
    let synced = back.sync_all(channel).await?;
    let dense = synced.iter().zip(1..).all(|(&(seq, _), expected)| seq == expected);
    expect(dense, || "the sync is not dense".to_owned())?;
    expect(synced.len() >= MESSAGES, || format!("{} of {MESSAGES} messages came by sync", synced.len()))?;
    let complete = sent.iter().all(|id| synced.iter().any(|(_, client_id)| client_id == id));
    expect(complete, || "a message is missing after the sync".to_owned())
}

/// Reads to the end: the reason of the goodbye, and the close code.
async fn read_to_close(client: &mut Client) -> Result<(Option<String>, Option<u16>), Failed> {
    let mut goodbye = None;
    loop {
        match client.socket.next().await {
            Ok(Incoming::Text(text)) => {
                if let ServerFrame::Goodbye { reason, .. } = parse(&text)? {
                    goodbye = Some(reason);
                }
            }
            Ok(Incoming::Closed(code)) => return Ok((goodbye, code)),
            Err(_) => return Ok((goodbye, None)),
        }
    }
}
