//! SIGTERM under load: everybody is told, the process ends with 0, and nothing acknowledged is lost.

use std::collections::HashSet;
use std::process::Stdio;
use std::time::{Duration, Instant};

use ringside_test_client::server::{Addresses, ServerProcess};
use ringside_test_client::websocket::{Incoming, ServerFrame, Target, parse};
use tokio::time::{sleep, timeout};
use uuid::Uuid;

use crate::test_server::{ANSWER_DEADLINE, Client, Failed, TestServer, expect, message, register};

const CLIENTS: usize = 10;
/// How long they send before and while the server drains.
const BEFORE: Duration = Duration::from_millis(500);
const POLL: Duration = Duration::from_millis(100);
/// Drain window of the contract's default, and some.
const DRAIN_DEADLINE: Duration = Duration::from_secs(25);

/// What one sender was told.
#[derive(Debug, Default)]
struct SenderOutcome {
    acknowledged: HashSet<Uuid>,
    goodbye: Option<(String, Option<u64>)>,
    code: Option<u16>,
}

pub(crate) async fn clients_are_told_and_nothing_acknowledged_is_lost(
    test_server: &TestServer,
) -> Result<(), Failed> {
    drain_clients(test_server, Addresses::target).await
}

/// The same wherever the clients come in.
pub(crate) async fn drain_clients(
    test_server: &TestServer,
    entry: fn(&Addresses) -> Target,
) -> Result<(), Failed> {
    let spec = test_server.spec(&[]).without_limits();
    let mut server = ServerProcess::start(&spec).await?;
    let accounts = register(&server, CLIENTS).await?;
    let others: Vec<Uuid> = accounts[1..].iter().map(|account| account.user_id).collect();
    let rest = server.addresses.rest();
    let channel = rest.create_channel(&accounts[0].access_token, "group", "all", &others).await?;
    let mut senders = Vec::new();
    for account in &accounts {
        let client = Client::open(&entry(&server.addresses), account).await?;
        senders.push(tokio::spawn(send_until_closed(client, channel)));
    }
    sleep(BEFORE).await;
    server.terminate()?;
    let status = server.await_end(DRAIN_DEADLINE).await?;
    expect(status.success(), || format!("after SIGTERM the server ended with {status}"))?;
    let mut acknowledged = HashSet::new();
    for sender in senders {
        let outcome = timeout(Duration::from_secs(5), sender).await??;
        let is_told =
            outcome.goodbye.as_ref().is_some_and(|(reason, wait)| reason == "draining" && wait.is_some());
        expect(is_told, || {
            format!("a client got {:?} in place of goodbye draining with a wait", outcome.goodbye)
        })?;
        expect(outcome.code == Some(4212), || format!("a client was closed with {:?}", outcome.code))?;
        acknowledged.extend(outcome.acknowledged);
    }
    expect(!acknowledged.is_empty(), || "nothing was acknowledged before the drain".to_owned())?;

    let server = ServerProcess::start(&spec).await?;
    let rest = server.addresses.rest();
    // What was acknowledged last may have been applied to the log alone.
    let since = Instant::now();
    loop {
        let history = rest.history(&accounts[0].access_token, channel).await?;
        let stored: HashSet<Uuid> = history.iter().map(|message| message.client_id).collect();
        let lost = acknowledged.difference(&stored).count();
        if lost == 0 {
            return Ok(());
        }
        expect(since.elapsed() < ANSWER_DEADLINE, || {
            format!("{lost} of {} acknowledged messages are lost", acknowledged.len())
        })?;
        sleep(POLL).await;
    }
}

/// Sends every few ms and reads, to the close.
async fn send_until_closed(mut client: Client, channel: Uuid) -> SenderOutcome {
    let mut outcome = SenderOutcome::default();
    loop {
        tokio::select! {
            incoming = client.socket.next() => match incoming {
                Ok(Incoming::Text(text)) => match parse(&text) {
                    Ok(ServerFrame::Ack { id }) => outcome.acknowledged.extend(id.parse::<Uuid>()),
                    Ok(ServerFrame::Goodbye { reason, retry_after_ms }) => outcome.goodbye = Some((reason, retry_after_ms)),
                    _ => {}
                },
                Ok(Incoming::Closed(code)) => {
                    outcome.code = code;
                    // The answer to the close is owed.
                    let _ = client.socket.flush().await;
                    return outcome;
                }
                Err(_) => return outcome,
            },
            () = sleep(Duration::from_millis(5)) => {
                client.socket.queue(&message(Uuid::new_v4(), channel, "while it lasts"));
                let _ = client.socket.flush().await;
            }
        }
    }
}

pub(crate) async fn second_start_on_one_data_folder_is_refused(
    test_server: &TestServer,
) -> Result<(), Failed> {
    let server = test_server.start(&[]).await?;
    let spec = test_server.spec(&[]);
    let second = spec
        .command("up")?
        .args(["--api-addr", "127.0.0.1:0", "--edge-addr", "127.0.0.1:0", "--admin-addr", "127.0.0.1:0"])
        .stderr(Stdio::piped())
        .output();
    let second = timeout(Duration::from_secs(10), second).await??;
    let words = String::from_utf8_lossy(&second.stderr).into_owned();
    expect(!second.status.success(), || "a second server started on the same folder".to_owned())?;
    expect(!words.contains("panicked"), || format!("the refusal is a panic: {words}"))?;
    expect(words.to_lowercase().contains("data") || words.contains("lock"), || {
        format!("the refusal says: {words}")
    })?;
    let answer = server.addresses.rest().call(hyper::Method::GET, "/api/v1/channels", None, None).await?;
    expect(answer.status == 401, || format!("the first server answers {} after that", answer.status))
}
