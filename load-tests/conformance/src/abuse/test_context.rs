//! A server with its default limits, the honest users on it, and whoever attacks next.

use std::net::Ipv4Addr;
use std::sync::Arc;
use std::time::Instant;

use hyper::Method;
use ringside_test_client::rest::{RestError, password_of};
use ringside_test_client::server::{ServerOptions, ServerProcess};
use serde::Deserialize;
use serde_json::{Value, json};
use tempfile::TempDir;
use uuid::Uuid;

use super::flood::Attacker;
use super::honest::{HonestUsers, Pair};
use super::run::AbuseError;

const PAIRS: usize = 4;
const READERS: usize = 10;
/// Who signs in after each attack.
const SIGNER: &str = "honestsigner";

/// A server and the honest users who measure.
pub(super) struct TestContext {
    pub server: ServerProcess,
    pub honest: HonestUsers,
    pub started: Instant,
    peer: Uuid,
    attackers: u8,
    // The server's data; goes with it.
    _folder: TempDir,
}

impl TestContext {
    pub(super) async fn start(options: &ServerOptions) -> Result<Self, AbuseError> {
        let folder = tempfile::tempdir()?;
        let server = ServerProcess::start(&options.spec_in(folder.path())).await?;
        let started = Instant::now();
        let rest = server.addresses.rest();
        rest.register(SIGNER).await?;
        let mut pairs = Vec::new();
        for number in 0..PAIRS {
            let speaker = rest.register(&format!("honest{number}a")).await?;
            let listener = rest.register(&format!("honest{number}b")).await?;
            let members = [listener.user_id];
            let channel = rest.create_channel(&speaker.access_token, "group", "talk", &members).await?;
            pairs.push(Pair { speaker, listener, channel });
        }
        let mut readers = Vec::new();
        for number in 0..READERS {
            readers.push(rest.register(&format!("reader{number:03}")).await?);
        }
        let peer = pairs[0].listener.user_id;
        let honest = HonestUsers::start(server.addresses, pairs, readers)?;
        Ok(Self { server, honest, started, peer, attackers: 0, _folder: folder })
    }

    /// The server's own description of its REST rows.
    pub(super) async fn description(&self) -> Result<Value, AbuseError> {
        let answer = self.server.addresses.rest().call(Method::GET, "/openapi.json", None, None).await?;
        Ok(answer.read("the description", &[200])?)
    }

    /// A fresh account that shares a channel with an honest user, and an address of its own.
    pub(super) async fn next_attacker(&mut self) -> Result<Attacker, AbuseError> {
        #[derive(Deserialize)]
        struct Sent {
            message_id: String,
        }
        self.attackers =
            self.attackers.checked_add(1).expect("a context is left before it has 255 attackers");
        let name = format!("attacker{:03}", self.attackers);
        let rest = self.server.addresses.rest();
        let account = rest.register(&name).await?;
        let token = account.access_token;
        let channel = rest.create_channel(&token, "group", "siege", &[self.peer]).await?;
        let path = format!("/api/v1/channels/{channel}/messages");
        let body = json!({ "content": "first", "content_type": "text" });
        let answer = rest.call(Method::POST, &path, Some(&token), Some(&body)).await?;
        let message: Sent = answer.read("a message", &[200, 201])?;
        let placeholders = vec![
            ("{channel}", channel.to_string()),
            ("{message}", message.message_id),
            ("{peer}", self.peer.to_string()),
            ("{honest}", SIGNER.to_owned()),
            ("{token}", token.clone()),
            ("{password}", password_of(&name)),
            ("{name}", name),
            ("{60k}", "x".repeat(60_000)),
            ("{ids500}", vec!["\"{id}\""; 500].join(",")),
            ("{ids501}", vec!["\"{id}\""; 501].join(",")),
        ];
        Ok(Attacker {
            source: Ipv4Addr::new(127, 0, 1, self.attackers),
            addresses: self.server.addresses,
            token,
            placeholders: super::template::Placeholders(placeholders),
            sent: Arc::default(),
        })
    }

    /// Signs an honest user in.
    pub(super) async fn sign_in(&self) -> Result<(), RestError> {
        self.server.addresses.rest().login(SIGNER).await.map(drop)
    }
}
