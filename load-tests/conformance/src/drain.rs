//! SIGTERM under load: everybody is told, the process ends with 0, and nothing acknowledged is lost.

use std::collections::HashSet;
use std::process::Stdio;
use std::time::Duration;

use ringside_test_client::server::{Addresses, ServerProcess};
use ringside_test_client::websocket::{Incoming, ServerFrame, Target, parse};
use tokio::process::Command;
use tokio::time::{sleep, timeout};
use uuid::Uuid;

use crate::test_server::{Client, Failed, Stand, expect, message, register};

const CLIENTS: usize = 10;
/// How long they send before and while the server drains.
const BEFORE: Duration = Duration::from_millis(500);
/// Drain window of the contract's default, and some.
const DRAIN_DEADLINE: Duration = Duration::from_secs(25);

/// What one sender came to.
#[derive(Debug, Default)]
struct Fate {
    acknowledged: HashSet<Uuid>,
    goodbye: Option<(String, Option<u64>)>,
    code: Option<u16>,
}

pub(crate) async fn clients_are_told_and_nothing_acknowledged_is_lost(stand: &Stand) -> Result<(), Failed> {
    told(stand, Addresses::target).await
}

/// The same wherever the clients come in.
pub(crate) async fn told(stand: &Stand, way_in: fn(&Addresses) -> Target) -> Result<(), Failed> {
    let spec = stand.spec(&[]).without_limits();
    let mut server = ServerProcess::start(&spec).await?;
    let accounts = register(&server, CLIENTS).await?;
    let others: Vec<Uuid> = accounts[1..].iter().map(|account| account.user_id).collect();
    let rest = server.addresses.rest();
    let channel = rest.create_channel(&accounts[0].access_token, "group", "all", &others).await?;
    let mut senders = Vec::new();
    for account in &accounts {
        let client = Client::open(&way_in(&server.addresses), account).await?;
        senders.push(tokio::spawn(send_until_closed(client, channel)));
    }
    sleep(BEFORE).await;
    server.terminate()?;
    let status = server.await_end(DRAIN_DEADLINE).await?;
    expect(status.success(), || format!("after SIGTERM the server ended with {status}"))?;
    let mut acknowledged = HashSet::new();
    for sender in senders {
        let fate = timeout(Duration::from_secs(5), sender).await??;
        let told = fate.goodbye.as_ref().is_some_and(|(reason, wait)| reason == "draining" && wait.is_some());
        expect(told, || format!("a client got {:?} in place of goodbye draining with a wait", fate.goodbye))?;
        expect(fate.code == Some(4212), || format!("a client was closed with {:?}", fate.code))?;
        acknowledged.extend(fate.acknowledged);
    }
    expect(!acknowledged.is_empty(), || "nothing was acknowledged before the drain".to_owned())?;

    let server = ServerProcess::start(&spec).await?;
    let history = server.addresses.rest().history(&accounts[0].access_token, channel).await?;
    let stored: HashSet<Uuid> = history.iter().map(|message| message.client_id).collect();
    let lost = acknowledged.difference(&stored).count();
    expect(lost == 0, || format!("{lost} of {} acknowledged messages are lost", acknowledged.len()))
}

/// Sends every few ms and reads, to the close.
async fn send_until_closed(mut client: Client, channel: Uuid) -> Fate {
    let mut fate = Fate::default();
    loop {
        tokio::select! {
            incoming = client.socket.next() => match incoming {
                Ok(Incoming::Text(text)) => match parse(&text) {
                    Ok(ServerFrame::Ack { id }) => fate.acknowledged.extend(id.parse::<Uuid>()),
                    Ok(ServerFrame::Goodbye { reason, retry_after_ms }) => fate.goodbye = Some((reason, retry_after_ms)),
                    _ => {}
                },
                Ok(Incoming::Closed(code)) => {
                    fate.code = code;
                    // The answer to the close is owed.
                    let _ = client.socket.flush().await;
                    return fate;
                }
                Err(_) => return fate,
            },
            () = sleep(Duration::from_millis(5)) => {
                client.socket.queue(&message(Uuid::new_v4(), channel, "while it lasts"));
                let _ = client.socket.flush().await;
            }
        }
    }
}

pub(crate) async fn second_start_on_one_data_folder_is_refused(stand: &Stand) -> Result<(), Failed> {
    let server = stand.start(&[]).await?;
    let spec = stand.spec(&[]);
    let second = Command::new(&spec.binary)
        .arg("up")
        .arg("--data-dir")
        .arg(&spec.data_dir)
        .args(["--api-addr", "127.0.0.1:0", "--edge-addr", "127.0.0.1:0", "--admin-addr", "127.0.0.1:0"])
        .stdin(Stdio::null())
        .kill_on_drop(true)
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
