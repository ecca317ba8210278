//! Rates, sizes and counts that are refused before the ack, with the time to wait.

use std::collections::HashMap;
use std::time::{Duration, Instant};

use ringside_test_client::websocket::{Incoming, ServerFrame, Socket, SocketError, parse};
use tokio::time::timeout;
use uuid::Uuid;

use crate::test_server::{Client, Failed, TestServer, answer_pings, expect, message, pair, register};

/// Answers to a burst, by code; acks count as `ack`.
struct Answers {
    by_code: HashMap<String, u32>,
    without_wait: u32,
    elapsed: Duration,
}

/// Sends `count` messages at once, and collects an answer to each.
async fn burst(client: &mut Client, channel: Uuid, count: u32, content: &str) -> Result<Answers, Failed> {
    let since = Instant::now();
    for _ in 0..count {
        client.socket.queue(&message(Uuid::new_v4(), channel, content));
    }
    let mut answers = Answers { by_code: HashMap::new(), without_wait: 0, elapsed: Duration::ZERO };
    let mut answered = 0;
    client.socket.flush().await?;
    while answered < count {
        let code = match client.frame().await? {
            ServerFrame::Ack { .. } => "ack".to_owned(),
            ServerFrame::Error { id: Some(_), code, retry_after_ms, .. } => {
                answers.without_wait += u32::from(retry_after_ms.is_none());
                code
            }
            _ => continue,
        };
        answered += 1;
        *answers.by_code.entry(code).or_insert(0) += 1;
    }
    answers.elapsed = since.elapsed();
    Ok(answers)
}

pub(crate) async fn user_rate_has_a_burst_of_twenty(test_server: &TestServer) -> Result<(), Failed> {
    let server = test_server.start(&[]).await?;
    let (first, _, channel) = pair(&server).await?;
    let mut client = Client::open(&server.addresses.target(), &first).await?;
    let answers = burst(&mut client, channel, 60, "quick").await?;
    let acknowledged = answers.by_code.get("ack").copied().unwrap_or(0);
    let refilled = (answers.elapsed.as_secs_f64() * 10.0).ceil() as u32 + 1;
    expect((20..=20 + refilled).contains(&acknowledged), || {
        format!("of 60 at once {acknowledged} were acknowledged; 20 and {refilled} refilled are allowed")
    })?;
    let limited = answers.by_code.get("rate_limited").copied().unwrap_or(0);
    expect(limited == 60 - acknowledged, || format!("the others were answered {:?}", answers.by_code))?;
    expect(answers.without_wait == 0, || {
        format!("{} refusals without retry_after_ms", answers.without_wait)
    })?;
    // Ten a second come back.
    tokio::time::sleep(Duration::from_millis(1200)).await;
    let later = burst(&mut client, channel, 30, "later").await?;
    let acknowledged = later.by_code.get("ack").copied().unwrap_or(0);
    let refilled = 12 + (later.elapsed.as_secs_f64() * 10.0).ceil() as u32 + 1;
    expect((10..=refilled).contains(&acknowledged), || {
        format!("1.2 s later {acknowledged} were acknowledged, 10 to {refilled} are right")
    })
}

pub(crate) async fn channel_rate_is_kept(test_server: &TestServer) -> Result<(), Failed> {
    let server = test_server.start(&[("messages_per_second", 0)]).await?;
    let (first, second, channel) = pair(&server).await?;
    let target = server.addresses.target();
    let mut one = Client::open(&target, &first).await?;
    let mut two = Client::open(&target, &second).await?;
    let since = Instant::now();
    let mut acknowledged = 0;
    let mut limited = 0;
    for client in [&mut one, &mut two] {
        let answers = burst(client, channel, 700, "chatter").await?;
        acknowledged += answers.by_code.get("ack").copied().unwrap_or(0);
        limited += answers.by_code.get("rate_limited").copied().unwrap_or(0);
    }
    let refilled = (since.elapsed().as_secs_f64() * 1000.0 / 60.0).ceil() as u32 + 1;
    expect(acknowledged + limited == 1400, || format!("{acknowledged} acks, {limited} limited of 1400"))?;
    expect((900..=1000 + refilled).contains(&acknowledged), || {
        format!("{acknowledged} of 1400 were acknowledged; 1000 a minute and {refilled} refilled are allowed")
    })
}

pub(crate) async fn sixth_connection_is_refused(test_server: &TestServer) -> Result<(), Failed> {
    let server = test_server.start(&[]).await?;
    let account = register(&server, 1).await?.remove(0);
    let target = server.addresses.target();
    let mut open = Vec::new();
    for _ in 0..5 {
        open.push(answer_pings(Client::open(&target, &account).await?));
    }
    let answer =
        crate::bad_input::bad_handshakes::upgrade(server.addresses.edge, &account.access_token, "").await?;
    expect(answer.starts_with("HTTP/1.1 429"), || format!("the sixth connection was answered {answer}"))?;
    expect(answer.to_ascii_lowercase().contains("\r\nretry-after:"), || {
        format!("no Retry-After in {answer}")
    })?;
    // One goes, another may come.
    if let Some(one) = open.pop() {
        one.abort();
    }
    let deadline = Instant::now() + Duration::from_secs(5);
    loop {
        match Client::open(&target, &account).await {
            Ok(_) => return Ok(()),
            Err(Failed(reason)) if Instant::now() > deadline => {
                return Err(Failed(format!("a place became free, and yet: {reason}")));
            }
            Err(_) => tokio::time::sleep(Duration::from_millis(50)).await,
        }
    }
}

/// Sockets that nobody is behind any more keep no device out.
pub(crate) async fn connections_that_do_not_answer_make_room(test_server: &TestServer) -> Result<(), Failed> {
    let server = test_server.start(&[]).await?;
    let account = register(&server, 1).await?.remove(0);
    let target = server.addresses.target();
    let alive = answer_pings(Client::open(&target, &account).await?);
    let mut dead = Vec::new();
    for _ in 0..4 {
        dead.push(Client::open(&target, &account).await?);
    }
    let since = Instant::now();
    for place in 0..4 {
        let another = Client::open(&target, &account).await;
        answer_pings(
            another.map_err(|Failed(reason)| Failed(format!("place {place} was not made: {reason}")))?,
        );
    }
    expect(since.elapsed() < Duration::from_secs(8), || format!("it took {:?}", since.elapsed()))?;
    expect(!alive.is_finished(), || "who answers was let go".to_owned())?;
    let answer =
        crate::bad_input::bad_handshakes::upgrade(server.addresses.edge, &account.access_token, "").await?;
    expect(answer.starts_with("HTTP/1.1 429"), || format!("one too many was answered {answer}"))
}

/// Content above the limit never makes a message; a frame that is larger closes with 1009.
pub(crate) async fn oversize_content_is_refused(test_server: &TestServer) -> Result<(), Failed> {
    let server = test_server.start(&[]).await?;
    let (first, _, channel) = pair(&server).await?;
    let nonce = Uuid::new_v4().as_u128();
    let mut socket = Socket::connect(&server.addresses.target(), &first.access_token, nonce).await?;
    let sent = socket.send(&message(Uuid::new_v4(), channel, &"x".repeat(70_000))).await;
    let closed = async {
        loop {
            match socket.next().await {
                Ok(Incoming::Closed(code)) => return Ok(code),
                Ok(Incoming::Text(text)) => match parse(&text) {
                    Ok(ServerFrame::Ack { .. }) => {
                        return Err(Failed("70,000 bytes were acknowledged".to_owned()));
                    }
                    _ => continue,
                },
                Err(SocketError::Io(_)) => return Ok(None),
                Err(error) => return Err(Failed(error.to_string())),
            }
        }
    };
    let code = timeout(Duration::from_secs(5), closed).await??;
    expect(code == Some(1009), || format!("70,000 bytes in one frame closed with {code:?} ({sent:?})"))?;
    let history = server.addresses.rest().history(&first.access_token, channel).await?;
    expect(history.is_empty(), || format!("the history has {} messages", history.len()))
}
