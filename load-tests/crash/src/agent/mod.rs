//! One client of the crash test: behaves as the contract asks of a client, badly on purpose where it may, and writes down
//! all that it sends and sees.

mod acting;
pub(crate) mod amendments;
mod cursors;
pub(crate) mod outbox;
mod reading;
pub(crate) mod view;

use std::collections::{HashMap, HashSet};
use std::time::{Duration, Instant};

use rand::rngs::SmallRng;
use rand::{RngExt, SeedableRng};
use ringside_checker::history::{ClientHistory, Event, Record};
use ringside_test_client::rest::Account;
use ringside_test_client::websocket::{Incoming, Socket};
use tokio::time::{sleep, sleep_until, timeout, timeout_at};
use uuid::Uuid;

use crate::context::{RunContext, Unfinished};
use amendments::{Amendments, Request};
use outbox::Outbox;
use view::View;

/// A server that takes nothing for this long is left.
const FLUSH_DEADLINE: Duration = Duration::from_secs(10);
/// A request over REST that is not answered for this long may have been done or not.
const REST_DEADLINE: Duration = Duration::from_secs(3);
/// Between two attempts to connect.
const RECONNECT_MS: std::ops::Range<u64> = 20..250;

/// Who a client is.
pub(super) struct Persona {
    pub client: u32,
    pub account: Account,
    pub channels: Vec<Uuid>,
}

pub(super) struct Agent {
    persona: Persona,
    context: RunContext,
    unfinished: Unfinished,
    random: SmallRng,
    outbox: Outbox,
    amendments: Amendments,
    view: View,
    /// The channel of every message ever sent.
    sent_to: HashMap<Uuid, Uuid>,
    /// The ids of all receipts.
    receipts: HashSet<Uuid>,
    records: Vec<Record>,
    connection: u32,
    /// When the present connection was made, and whether `hello` came.
    connected_at: Instant,
    is_open: bool,
    /// The id and time of the sync under way.
    sync: Option<(String, Instant)>,
    syncs: u32,
    wants_sync: bool,
    /// Whether the sync under way began after all was quiet.
    is_last_sync: bool,
    settled: bool,
    /// Why the last attempt to connect failed.
    last_failure: Option<String>,
}

/// What to do after an action.
enum NextStep {
    Stay,
    Stall(Duration),
    /// Ask for this over REST.
    Pin(Request),
    /// And for these lists.
    Receipts(Uuid),
    Channels,
    /// End the connection: with a close frame, or without a word.
    Leave {
        politely: bool,
    },
}

impl Agent {
    pub(super) fn new(persona: Persona, context: RunContext, unfinished: Unfinished, seed: u64) -> Self {
        let own_seed = seed ^ u64::from(persona.client + 1).wrapping_mul(0x9e37_79b9_7f4a_7c15);
        Self {
            view: View::new(&persona.channels),
            random: SmallRng::seed_from_u64(own_seed),
            persona,
            context,
            unfinished,
            outbox: Outbox::default(),
            amendments: Amendments::default(),
            sent_to: HashMap::new(),
            receipts: HashSet::new(),
            records: Vec::new(),
            connection: 0,
            connected_at: Instant::now(),
            is_open: false,
            sync: None,
            syncs: 0,
            wants_sync: false,
            is_last_sync: false,
            settled: false,
            last_failure: None,
        }
    }

    /// Lives until the run says to leave, or `give_up` passes.
    pub(super) async fn run(mut self, give_up: Instant) -> ClientHistory {
        while !self.settled && Instant::now() < give_up {
            let nonce = self.random.random();
            match Socket::connect(&self.context.target, &self.persona.account.access_token, nonce).await {
                Ok(socket) => {
                    self.connected();
                    let code = timeout_at(give_up.into(), self.run_connection(socket)).await.unwrap_or(None);
                    self.record(Event::Closed { code });
                }
                Err(error) => self.last_failure = Some(error.to_string()),
            }
            sleep(Duration::from_millis(self.random.random_range(RECONNECT_MS))).await;
        }
        if !self.settled {
            eprintln!(
                "client {} did not settle; last failure to connect: {:?}",
                self.persona.client, self.last_failure
            );
        }
        ClientHistory {
            client: self.persona.client,
            user_id: self.persona.account.user_id,
            settled: self.settled,
            records: self.records,
        }
    }

    fn connected(&mut self) {
        self.connection += 1;
        self.connected_at = Instant::now();
        self.is_open = false;
        self.sync = None;
        self.wants_sync = false;
        self.view.connected();
    }

    fn record(&mut self, event: Event) {
        self.records.push(Record { at_us: self.context.now_us(), connection: self.connection, event });
    }

    /// One connection to its end. Returns the server's close code, if there was one.
    async fn run_connection(&mut self, mut socket: Socket) -> Option<u16> {
        let mut next_action = Instant::now() + self.pause();
        loop {
            tokio::select! {
                incoming = socket.next() => match incoming {
                    Ok(Incoming::Text(text)) => self.read(&mut socket, &text),
                    Ok(Incoming::Closed(code)) => return code,
                    Err(_) => return None,
                },
                () = sleep_until(next_action.into()) => {
                    next_action = Instant::now() + self.pause();
                    match self.act(&mut socket) {
                        NextStep::Stay => {}
                        NextStep::Stall(time) => sleep(time).await,
                        NextStep::Pin(request) => self.pin(request).await,
                        NextStep::Receipts(channel) => self.fetch_receipts(channel).await,
                        NextStep::Channels => self.fetch_channels().await,
                        NextStep::Leave { politely } => {
                            if politely {
                                socket.queue_close(1000);
                                let _ = timeout(FLUSH_DEADLINE, socket.flush()).await;
                            }
                            return None;
                        }
                    }
                }
            }
            while let Some(incoming) = socket.take_ready() {
                match incoming {
                    Incoming::Text(text) => self.read(&mut socket, &text),
                    Incoming::Closed(code) => return code,
                }
            }
            self.unfinished.set(self.outbox.count() + self.amendments.count());
            if self.settled || !matches!(timeout(FLUSH_DEADLINE, socket.flush()).await, Ok(Ok(()))) {
                return None;
            }
        }
    }

    fn pause(&mut self) -> Duration {
        let factor = -(1.0 - self.random.random::<f64>()).ln();
        self.context.mean_pause.mul_f64(factor.min(10.0))
    }
}
