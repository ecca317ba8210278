//! What every check needs: a server of its own, accounts, channels, and a client that says what it expected.

use std::fmt::Display;
use std::io;
use std::time::Duration;

use hyper::Method;
use ringside_test_client::rest::{Account, Rest};
use ringside_test_client::server::{ServerOptions, ServerProcess, ServerSpec};
use ringside_test_client::websocket::{Incoming, ServerFrame, Socket, SocketError, Target, parse};
use serde_json::{Value, json};
use tempfile::TempDir;
use tokio::task::JoinHandle;
use tokio::time::timeout;
use uuid::Uuid;

/// What a client waits for comes within this time.
pub(crate) const ANSWER_DEADLINE: Duration = Duration::from_secs(10);

/// Why a check failed: what was expected, and what came.
#[derive(Debug)]
pub(crate) struct Failed(pub String);

impl<E: Display> From<E> for Failed {
    fn from(error: E) -> Self {
        Self(error.to_string())
    }
}

/// Fails with these words unless the condition holds.
pub(crate) fn expect(condition: bool, otherwise: impl FnOnce() -> String) -> Result<(), Failed> {
    if condition { Ok(()) } else { Err(Failed(otherwise())) }
}

/// A server of the check's own: its data folder, and how to start it there, again and again if need be.
pub(crate) struct TestServer {
    server: ServerOptions,
    folder: TempDir,
}

impl TestServer {
    pub(crate) fn new(server: ServerOptions) -> io::Result<Self> {
        Ok(Self { server, folder: tempfile::tempdir()? })
    }

    /// How it is started, with these limits (`messages_per_second` …) changed.
    pub(crate) fn spec(&self, limits: &[(&str, u32)]) -> ServerSpec {
        let variable = |(name, value): &(&str, u32)| {
            (format!("RINGSIDE_LIMITS_{}", name.to_ascii_uppercase()), value.to_string())
        };
        let mut spec = self.server.spec_in(self.folder.path());
        spec.environment.extend(limits.iter().map(variable));
        spec
    }

    pub(crate) async fn start(&self, limits: &[(&str, u32)]) -> Result<ServerProcess, Failed> {
        Ok(ServerProcess::start(&self.spec(limits)).await?)
    }
}

/// Registers this many users, `person000` and so on.
pub(crate) async fn register(server: &ServerProcess, count: usize) -> Result<Vec<Account>, Failed> {
    let mut accounts = Vec::with_capacity(count);
    for number in 0..count {
        accounts.push(server.addresses.rest().register(&format!("person{number:03}")).await?);
    }
    Ok(accounts)
}

/// Two registered users and the channel of both.
pub(crate) async fn pair(server: &ServerProcess) -> Result<(Account, Account, Uuid), Failed> {
    let mut accounts = register(server, 2).await?;
    let (second, first) = (accounts.remove(1), accounts.remove(0));
    let rest = server.addresses.rest();
    let channel = rest.create_channel(&first.access_token, "dm", "two", &[second.user_id]).await?;
    Ok((first, second, channel))
}

/// A `message.send` frame.
pub(crate) fn message(id: Uuid, channel: Uuid, content: &str) -> String {
    let payload =
        json!({ "channel_id": channel, "content": content, "content_type": "text", "reply_to": null });
    json!({ "type": "message.send", "id": id, "payload": payload }).to_string()
}

/// A client that has read `hello`.
pub(crate) struct Client {
    pub socket: Socket,
}

impl Client {
    pub(crate) async fn open(target: &Target, account: &Account) -> Result<Self, Failed> {
        let nonce = Uuid::new_v4().as_u128();
        let mut client = Self { socket: Socket::connect(target, &account.access_token, nonce).await? };
        match client.frame().await? {
            ServerFrame::Hello { user_id } if user_id == account.user_id => Ok(client),
            other => Err(Failed(format!("the first frame is no hello for {}: {other:?}", account.user_id))),
        }
    }

    pub(crate) async fn frame(&mut self) -> Result<ServerFrame, Failed> {
        match self.incoming().await? {
            Incoming::Text(text) => Ok(parse(&text)?),
            Incoming::Closed(code) => Err(Failed(format!("the server closed with {code:?}"))),
        }
    }

    pub(crate) async fn incoming(&mut self) -> Result<Incoming, Failed> {
        let incoming: Result<Incoming, SocketError> = timeout(ANSWER_DEADLINE, self.socket.next())
            .await
            .map_err(|_| Failed("nothing came".to_owned()))?;
        Ok(incoming?)
    }

    /// The next frame that this takes something from; others are passed over.
    pub(crate) async fn until<T>(
        &mut self,
        what: &str,
        mut pick: impl FnMut(ServerFrame) -> Option<T>,
    ) -> Result<T, Failed> {
        let search = async {
            loop {
                if let Some(found) = pick(self.frame().await?) {
                    return Ok(found);
                }
            }
        };
        let found: Result<T, Failed> =
            timeout(ANSWER_DEADLINE, search).await.map_err(|_| Failed(format!("{what} did not come")))?;
        found.map_err(|Failed(reason)| Failed(format!("waiting for {what}: {reason}")))
    }

    /// Sends one message and waits for its ack.
    pub(crate) async fn say(&mut self, channel: Uuid, content: &str) -> Result<Uuid, Failed> {
        let id = Uuid::new_v4();
        self.socket.send(&message(id, channel, content)).await?;
        self.acknowledged(id).await?;
        Ok(id)
    }

    pub(crate) async fn acknowledged(&mut self, id: Uuid) -> Result<(), Failed> {
        let id = id.to_string();
        self.until("the ack", |frame| match frame {
            ServerFrame::Ack { id: acknowledged } => (acknowledged == id).then_some(Ok(())),
            ServerFrame::Error { id: Some(refused), code, message, .. } if refused == id => {
                Some(Err(Failed(format!("refused with {code}: {message}"))))
            }
            _ => None,
        })
        .await?
    }

    /// Everything of a channel, by sync from the beginning: contents in order.
    pub(crate) async fn sync_all(&mut self, channel: Uuid) -> Result<Vec<(u64, Uuid)>, Failed> {
        let asked = json!({ "channels": [{ "channel_id": channel, "last_message_id": Value::Null }] });
        self.socket.send(&json!({ "type": "sync", "id": "all", "payload": asked }).to_string()).await?;
        let mut messages = Vec::new();
        self.until("sync.done", |frame| match frame {
            ServerFrame::Page(page) => {
                messages.extend(page.messages.iter().map(|message| (message.seq, message.client_id)));
                None
            }
            ServerFrame::SyncDone { .. } => Some(()),
            _ => None,
        })
        .await?;
        Ok(messages)
    }

    /// The connection still answers.
    pub(crate) async fn is_alive(&mut self) -> Result<(), Failed> {
        self.socket.send(r#"{"type":"ping","id":"alive","payload":{"n":1}}"#).await?;
        self.until("the pong", |frame| (frame == ServerFrame::Other("pong".to_owned())).then_some(())).await
    }
}

/// The next frame of this kind, raw.
pub(crate) async fn await_frame(client: &mut Client, kind: &str) -> Result<Value, Failed> {
    loop {
        match client.incoming().await? {
            Incoming::Text(text) => {
                let frame: Value = serde_json::from_slice(&text)?;
                if frame["type"] == kind {
                    return Ok(frame["payload"].clone());
                }
                if frame["type"] == "error" || frame["type"] == "message.rejected" {
                    return Err(Failed(format!("waiting for {kind}: {frame}")));
                }
            }
            Incoming::Closed(code) => return Err(Failed(format!("closed with {code:?}"))),
        }
    }
}

/// Reads whatever comes, in a task, which answers pings: the connection lives until the task is aborted.
pub(crate) fn answer_pings(mut client: Client) -> JoinHandle<()> {
    tokio::spawn(async move { while client.incoming().await.is_ok() {} })
}

/// Sends a frame with a fresh id.
pub(crate) async fn send_frame(client: &mut Client, kind: &str, payload: &Value) -> Result<(), Failed> {
    let frame = json!({ "type": kind, "id": Uuid::new_v4(), "payload": payload });
    client.socket.send(&frame.to_string()).await?;
    Ok(())
}

/// A REST request that must be answered so.
pub(crate) async fn call(
    rest: &Rest,
    method: Method,
    path: &str,
    by: &Account,
    status: u16,
) -> Result<Value, Failed> {
    let what = format!("{method} {path}");
    let answer = rest.call(method, &format!("/api/v1{path}"), Some(&by.access_token), None).await?;
    expect(answer.status == status, || {
        format!("{what} was answered {}: {}", answer.status, String::from_utf8_lossy(&answer.body))
    })?;
    Ok(serde_json::from_slice(&answer.body).unwrap_or(Value::Null))
}
