//! A client that only listens, and is evicted from a channel or its session and readmitted, all the time.

mod evictions;

use std::time::{Duration, Instant};

use rand::rngs::SmallRng;
use rand::{RngExt, SeedableRng};
use ringside_checker::history::{ClientHistory, Event, Record};
use ringside_test_client::rest::{Session, password_of};
use ringside_test_client::websocket::{Incoming, ServerFrame, Socket, parse};
use tokio::time::sleep;
use uuid::Uuid;

use crate::context::{Phase, RunContext};

/// How long the client listens between two evictions.
const LISTEN_MS: std::ops::Range<u64> = 300..1500;
/// Between two attempts to connect.
const RETRY_PAUSE: Duration = Duration::from_millis(100);

/// Who the client is, and by whom it is evicted.
pub(super) struct EvictedPersona {
    pub client: u32,
    pub username: String,
    pub session: Session,
    /// Channels with the owner's token.
    pub channels: Vec<(Uuid, String)>,
}

pub(super) struct EvictedClient {
    persona: EvictedPersona,
    context: RunContext,
    password: String,
    /// How many passwords there were.
    passwords: u32,
    random: SmallRng,
    records: Vec<Record>,
    connection: u32,
    socket: Option<Socket>,
}

impl EvictedClient {
    pub(super) fn new(persona: EvictedPersona, context: RunContext, seed: u64) -> Self {
        let own_seed = seed ^ u64::from(persona.client + 1).wrapping_mul(0x6775_6573_7479_6f75);
        Self {
            password: password_of(&persona.username),
            passwords: 1,
            persona,
            context,
            random: SmallRng::seed_from_u64(own_seed),
            records: Vec::new(),
            connection: 0,
            socket: None,
        }
    }

    /// Lives until nothing new is said, or `give_up` passes.
    pub(super) async fn run(mut self, give_up: Instant) -> ClientHistory {
        while self.context.phase() == Phase::Sending && Instant::now() < give_up {
            let time = Duration::from_millis(self.random.random_range(LISTEN_MS));
            self.listen(time).await;
            match self.random.random_range(0..10u32) {
                0..=1 => self.sign_out_and_in(give_up).await,
                2..=3 => self.revoke_session(give_up).await,
                4..=5 => self.change_password(give_up).await,
                _ => {
                    let at = self.random.random_range(0..self.persona.channels.len());
                    self.remove_and_readmit(at, give_up).await;
                }
            }
        }
        ClientHistory {
            client: self.persona.client,
            user_id: self.persona.session.account.user_id,
            settled: false,
            records: self.records,
        }
    }

    fn record(&mut self, event: Event) {
        self.records.push(Record { at_us: self.context.now_us(), connection: self.connection, event });
    }

    /// Reads for this long, and reconnects when there is no connection.
    async fn listen(&mut self, time: Duration) {
        let until = tokio::time::Instant::now() + time;
        while tokio::time::Instant::now() < until {
            if self.socket.is_none() {
                let nonce = self.random.random();
                let token = self.persona.session.account.access_token.clone();
                match Socket::connect(&self.context.target, &token, nonce).await {
                    Ok(socket) => {
                        self.connection += 1;
                        self.record(Event::Opened);
                        self.socket = Some(socket);
                    }
                    Err(_) => {
                        sleep(RETRY_PAUSE).await;
                        continue;
                    }
                }
            }
            let Ok(incoming) = tokio::time::timeout_at(until, next_of(&mut self.socket)).await else {
                return;
            };
            let at_us = self.context.now_us();
            take(&mut self.records, &mut self.socket, self.connection, at_us, incoming);
        }
    }
}

async fn next_of(socket: &mut Option<Socket>) -> Option<Incoming> {
    match socket {
        Some(socket) => socket.next().await.ok(),
        None => std::future::pending().await,
    }
}

/// Writes down what came; an ended connection is let go.
fn take(
    records: &mut Vec<Record>,
    socket: &mut Option<Socket>,
    connection: u32,
    at_us: u64,
    incoming: Option<Incoming>,
) {
    let event = match incoming {
        Some(Incoming::Text(text)) => match parse(&text) {
            Ok(ServerFrame::New(message)) => {
                Event::New { channel: message.channel_id, message: message.into() }
            }
            Ok(ServerFrame::Changed { channel_id, change }) => Event::Changed { channel: channel_id, change },
            Ok(_) => return,
            Err(error) => Event::Malformed { detail: error.to_string() },
        },
        Some(Incoming::Closed(code)) => {
            *socket = None;
            Event::Closed { code }
        }
        None => {
            *socket = None;
            Event::Closed { code: None }
        }
    };
    records.push(Record { at_us, connection, event });
}
