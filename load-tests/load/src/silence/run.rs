//! One run: a server of its own, sockets with steady traffic, and a revocation for each.

use std::time::{Duration, Instant};

use clap::Args;
use ringside_test_client::rest::RestError;
use ringside_test_client::server::{ServerError, ServerOptions, ServerProcess};
use ringside_test_client::websocket::{Socket, SocketError};
use serde_json::json;
use thiserror::Error;
use tokio::task::JoinSet;
use tokio::time::interval;
use uuid::Uuid;

use super::listener::evict_and_listen;
use super::participants::{Speaker, register};
use super::report::SilenceReport;

/// Sockets at the most.
pub const MAX_SOCKETS: u32 = 10_000;
/// Between the last socket's opening and the first revocation: logins of the second sessions happen in it.
const LEAD: Duration = Duration::from_secs(3);

/// `ringside-load silence`.
#[derive(Clone, Debug, Args)]
pub struct SilenceOptions {
    /// Which server is started, and how.
    #[command(flatten)]
    pub server: ServerOptions,
    /// Sockets, one a user; each is silenced once.
    #[arg(long, default_value_t = 1000, value_parser = clap::value_parser!(u32).range(4..=i64::from(MAX_SOCKETS)))]
    pub sockets: u32,
    /// Listeners of one channel.
    #[arg(long, default_value_t = 50, value_parser = clap::value_parser!(u32).range(1..=1000))]
    pub per_channel: u32,
    /// Messages a second in each channel.
    #[arg(long, default_value_t = 10.0)]
    pub rate: f64,
    /// Revocations a second; those by password and from other sessions sign in once more, which costs CPU.
    #[arg(long, default_value_t = 20.0)]
    pub revocations: f64,
}

/// Why nothing was measured.
#[derive(Debug, Error)]
pub enum SilenceError {
    /// The server could not be started.
    #[error(transparent)]
    Server(#[from] ServerError),
    /// A request was not answered as the contract says.
    #[error(transparent)]
    Rest(#[from] RestError),
    /// A socket could not be opened.
    #[error(transparent)]
    Socket(#[from] SocketError),
    /// The data folder could not be made.
    #[error("{0}")]
    Io(#[from] std::io::Error),
}

/// Opens the sockets, evicts each of them once, and measures.
pub async fn run(options: &SilenceOptions) -> Result<SilenceReport, SilenceError> {
    let folder = tempfile::tempdir()?;
    let spec = options.server.spec_in(folder.path()).without_limits();
    let server = ServerProcess::start(&spec).await?;
    let (rest, target) = (server.addresses.rest(), server.addresses.target());
    let (speakers, people) = register(rest, options.sockets, options.per_channel).await?;
    let mut sockets = Vec::with_capacity(people.len());
    for person in people {
        let token = &person.session.account.access_token;
        let socket = Socket::connect(&target, token, Uuid::new_v4().as_u128()).await?;
        sockets.push((person, socket));
    }
    let mut talk = JoinSet::new();
    for speaker in speakers {
        let token = &speaker.session.account.access_token;
        let socket = Socket::connect(&target, token, Uuid::new_v4().as_u128()).await?;
        talk.spawn(speak(speaker, socket, options.rate));
    }
    eprintln!("{} sockets, {} channels; revoking", sockets.len(), talk.len());
    let first = Instant::now() + LEAD;
    let mut listeners = JoinSet::new();
    for (number, (person, socket)) in sockets.into_iter().enumerate() {
        let at = first + Duration::from_secs_f64(number as f64 / options.revocations.max(0.1));
        listeners.spawn(evict_and_listen(rest, person, socket, at));
    }
    let mut measured = Vec::new();
    for outcome in listeners.join_all().await {
        measured.push(outcome?);
    }
    Ok(SilenceReport::of(&measured))
}

/// Speaks at a steady rate for as long as the socket lasts.
async fn speak(speaker: Speaker, mut socket: Socket, rate: f64) {
    let mut ticks = interval(Duration::from_secs_f64(1.0 / rate.max(0.1)));
    loop {
        tokio::select! {
            _ = ticks.tick() => {
                let payload = json!({
                    "channel_id": speaker.channel, "content": "steady", "content_type": "text", "reply_to": null,
                });
                let frame = json!({ "type": "message.send", "id": Uuid::new_v4(), "payload": payload });
                if socket.send(&frame.to_string()).await.is_err() {
                    return;
                }
            }
            incoming = socket.next() => if incoming.is_err() { return },
        }
    }
}
