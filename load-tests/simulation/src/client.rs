//! A client of the public contract, which behaves as that asks, badly on purpose where it may, and writes down all that it
//! sends and sees: the crash test's client, over wires of the simulation.

mod brief;
mod reading;

use std::collections::{BTreeMap, HashMap};
use std::net::SocketAddr;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::task::Poll;
use std::time::Duration;

use rand::rngs::SmallRng;
use rand::{RngExt, SeedableRng};
use ringside_checker::history::{ClientHistory, Event, Record};
use ringside_crash::{Amendments, Outbox, Outgoing, Reached, Request, View};
use ringside_reactor::ConnectionId;
use ringside_test_client::websocket::{Input, Machine, Target};
use ringside_types::{SessionId, UserId};
use serde_json::json;
use uuid::Uuid;

use crate::edge::FromClient;
use crate::inbox::Inbox;
use crate::scheduler::{Scheduler, WORLD};
use crate::sockets::ToClient;
use crate::tokens;
use crate::trace::Lane;
use crate::wire::Wire;
use brief::{brief, channel_of};

/// Between two attempts to connect, in microseconds.
const RECONNECT_US: std::ops::Range<u64> = 20_000..500_000;
/// A connection without `hello`, or a sync without its end, for this long is given up.
const PATIENCE: Duration = Duration::from_secs(15);
/// A client with so many messages that it has not seen come back sends no new ones.
const MAX_UNFINISHED: usize = 32;

/// What clients are to do now.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Phase {
    Sending,
    /// Nothing new; what is under way is repeated until it is answered.
    Settling,
    /// A last sync, then the end.
    Leaving,
}

/// Edges that clients find, and the connections to them.
#[derive(Clone, Default)]
pub struct Edges(Arc<Mutex<EdgeTable>>);

#[derive(Default)]
struct EdgeTable {
    edges: BTreeMap<u16, Inbox<FromClient>>,
    connections: BTreeMap<u64, (u16, Wire<ToClient>)>,
    next: u64,
}

impl Edges {
    fn table(&self) -> MutexGuard<'_, EdgeTable> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// An edge is there.
    pub fn add(&self, number: u16, clients: Inbox<FromClient>) {
        self.table().edges.insert(number, clients);
    }

    /// An edge is gone, and its connections are cut.
    pub fn remove(&self, number: u16) {
        let mut table = self.table();
        table.edges.remove(&number);
        let cut = table.connections.extract_if(.., |_, (edge, _)| *edge == number);
        cut.for_each(|(_, (_, wire))| wire.send(ToClient::Closed));
    }

    /// A connection to one of the edges; `None`: there is none.
    fn connect(
        &self,
        scheduler: &Scheduler,
        inbox: &Inbox<ToClient>,
    ) -> Option<(u16, ConnectionId, Wire<FromClient>)> {
        let mut table = self.table();
        let count = table.edges.len() as u64;
        let (number, clients) = table.edges.iter().nth(scheduler.draw(count) as usize)?;
        let (number, clients) = (*number, clients.clone());
        table.next += 1;
        let connection = ConnectionId::from_u64(table.next);
        let from_edge = Wire::new(scheduler.clone(), inbox.clone());
        table.connections.insert(connection.to_u64(), (number, from_edge.clone()));
        let to_edge = Wire::new(scheduler.clone(), clients);
        to_edge.send(FromClient::Opened { connection, wire: from_edge });
        Some((number, connection, to_edge))
    }

    fn disconnect(&self, connection: ConnectionId) {
        self.table().connections.remove(&connection.to_u64());
    }
}

/// What all clients share.
#[derive(Clone)]
pub struct Stage {
    pub scheduler: Scheduler,
    pub edges: Edges,
    pub phase: Arc<Mutex<Phase>>,
    /// Between two actions, on average.
    pub pause: Duration,
    /// Clients that are done.
    pub histories: Inbox<ClientHistory>,
    /// What is not done yet, client by client.
    pub unfinished: Arc<Mutex<BTreeMap<u32, usize>>>,
    /// How far each client has come.
    pub reached: Arc<Mutex<BTreeMap<u32, Vec<Reached>>>>,
}

impl Stage {
    fn phase(&self) -> Phase {
        *self.phase.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

pub struct Client {
    stage: Stage,
    number: u32,
    user: UserId,
    /// What others do to it, at the time at which it is done; `None`: nothing is.
    notices: Option<Inbox<Event>>,
    channels: Vec<Uuid>,
    random: SmallRng,
    outbox: Outbox,
    amendments: Amendments,
    view: View,
    sent_to: HashMap<Uuid, Uuid>,
    records: Vec<Record>,
    connection: u32,
    /// The edge that it is connected to, or was last.
    edge: u16,
    connected_at: Duration,
    is_open: bool,
    /// The id and time of the sync under way.
    sync: Option<(String, Duration)>,
    syncs: u32,
    wants_sync: bool,
    /// Whether the sync under way began after all was quiet.
    is_last_sync: bool,
    settled: bool,
}

/// One connection from the client's side.
struct Line {
    machine: Machine,
    out: Vec<u8>,
}

impl Line {
    fn send(&mut self, text: &str) {
        let Self { machine, out } = self;
        machine.write_text(out, text.as_bytes());
    }
}

impl Client {
    /// A client that is a member all the time, and sends.
    pub fn new(stage: Stage, number: u32, user: UserId, channels: &[Uuid]) -> Self {
        let random = SmallRng::seed_from_u64(stage.scheduler.random());
        Self {
            stage,
            number,
            user,
            notices: None,
            channels: channels.to_vec(),
            random,
            outbox: Outbox::default(),
            amendments: Amendments::default(),
            view: View::new(channels),
            sent_to: HashMap::new(),
            records: Vec::new(),
            connection: 0,
            edge: 0,
            connected_at: Duration::ZERO,
            is_open: false,
            sync: None,
            syncs: 0,
            wants_sync: false,
            is_last_sync: false,
            settled: false,
        }
    }

    /// A client that is told here when it is evicted and readmitted.
    pub fn guest(stage: Stage, number: u32, user: UserId, channels: &[Uuid], notices: Inbox<Event>) -> Self {
        Self { notices: Some(notices), ..Self::new(stage, number, user, channels) }
    }

    fn take_notices(&mut self) {
        while let Some(event) = self.notices.as_ref().and_then(Inbox::pop) {
            self.record(event);
        }
    }

    /// Lives until it has settled, or `give_up`.
    pub async fn run(mut self, give_up: Duration) {
        let scheduler = self.stage.scheduler.clone();
        let edges = self.stage.edges.clone();
        while !self.settled && scheduler.now() < give_up {
            let inbox = Inbox::default();
            self.take_notices();
            if let Some((edge, connection, wire)) = edges.connect(&scheduler, &inbox) {
                self.edge = edge;
                self.connection += 1;
                self.connected_at = scheduler.now();
                (self.is_open, self.sync, self.wants_sync) = (false, None, false);
                self.view.connected();
                let code = self.run_connection(&inbox, connection, &wire).await;
                self.record(Event::Closed { code });
                wire.send(FromClient::Closed { connection });
                edges.disconnect(connection);
            }
            scheduler.sleep(scheduler.draw_us(RECONNECT_US)).await;
        }
        let Self { number: client, user, settled, records, .. } = self;
        self.stage.histories.push(ClientHistory { client, user_id: user.0, settled, records });
    }

    fn record(&mut self, event: Event) {
        let at_us = u64::try_from(self.stage.scheduler.now().as_micros()).unwrap_or(u64::MAX);
        let (client, edge, connection) = (Lane::Client(self.number), Lane::Edge(self.edge), self.connection);
        let (from, to) = match &event {
            Event::Sent { .. } | Event::Asked { .. } | Event::SyncSent { .. } => (client, edge),
            Event::Evicted { .. } | Event::Readmitted { .. } => (Lane::World, client),
            _ => (edge, client),
        };
        self.stage
            .scheduler
            .note(from, to, channel_of(&event), || format!("{} ({connection})", brief(&event)));
        self.records.push(Record { at_us, connection, event });
    }

    /// One connection to its end; returns the server's close code, if there was one.
    async fn run_connection(
        &mut self,
        inbox: &Inbox<ToClient>,
        connection: ConnectionId,
        wire: &Wire<FromClient>,
    ) -> Option<u16> {
        let scheduler = self.stage.scheduler.clone();
        let session = SessionId(Uuid::from_u128(1_000_000 + u128::from(self.number)));
        let token = tokens::token(self.user, session, scheduler.wall(WORLD));
        let target = Target::at(SocketAddr::from(([127, 0, 0, 1], 1)));
        let (mut out, nonce) = (Vec::new(), self.random.random());
        let machine = Machine::connect(&mut out, &target, &token, nonce);
        let mut line = Line { machine, out };
        let mut next_action = scheduler.now() + self.pause();
        loop {
            if !line.out.is_empty() {
                wire.send(FromClient::Bytes { connection, bytes: std::mem::take(&mut line.out) });
            }
            if self.settled {
                return None;
            }
            std::future::poll_fn(|context| {
                let noticed =
                    self.notices.as_ref().map_or(Poll::Pending, |notices| notices.poll_filled(context));
                let filled = inbox.poll_filled(context);
                if noticed.is_ready() || filled.is_ready() {
                    return Poll::Ready(());
                }
                scheduler.poll_timer(next_action, context)
            })
            .await;
            self.take_notices();
            match inbox.pop() {
                Some(ToClient::Closed) => return None,
                Some(ToClient::Bytes(mut bytes)) => {
                    let (mut texts, mut closed) = (Vec::new(), None);
                    let received =
                        line.machine.receive(&mut bytes, &mut line.out, &mut |input| match input {
                            Input::Upgraded => {}
                            Input::Text(text) => texts.push(text.to_vec()),
                            Input::Closed(code) => closed = Some(code),
                        });
                    texts.iter().for_each(|text| self.read(&mut line, text));
                    if let Some(code) = closed {
                        return code;
                    }
                    if received.is_err() {
                        return None;
                    }
                }
                None if scheduler.now() < next_action => {}
                None => {
                    next_action = scheduler.now() + self.pause();
                    if !self.act(&mut line) {
                        return None;
                    }
                }
            }
            let unfinished = self.outbox.count() + self.amendments.count();
            let mut all = self.stage.unfinished.lock().unwrap_or_else(PoisonError::into_inner);
            all.insert(self.number, unfinished);
            let mut all = self.stage.reached.lock().unwrap_or_else(PoisonError::into_inner);
            all.insert(self.number, self.view.reached());
        }
    }

    fn pause(&mut self) -> Duration {
        let factor = -(1.0 - self.random.random::<f64>()).ln();
        self.stage.pause.mul_f64(factor.clamp(0.001, 10.0))
    }

    /// Does something; false: leaves.
    fn act(&mut self, line: &mut Line) -> bool {
        let (now, instant) = (self.stage.scheduler.now(), self.stage.scheduler.instant());
        let hangs = self.sync.as_ref().is_some_and(|(_, since)| now > *since + PATIENCE);
        if hangs || (!self.is_open && now > self.connected_at + PATIENCE) {
            return false;
        }
        if !self.is_open {
            return true;
        }
        for outgoing in self.outbox.due_for_retry(instant) {
            self.send(line, &outgoing);
        }
        for request in self.amendments.due_for_retry(instant) {
            self.ask(line, &request);
        }
        let is_leaving = self.stage.phase() == Phase::Leaving;
        self.wants_sync |= self.outbox.has_overdue(instant) || (is_leaving && !self.is_last_sync);
        if self.wants_sync && self.sync.is_none() {
            self.begin_sync(line);
        }
        if self.stage.phase() != Phase::Sending {
            return true;
        }
        match self.random.random_range(0..1000u32) {
            // Those who are evicted send, too, and send again what they had sent before, but change nothing.
            95..=194 | 300.. if self.notices.is_some() => {}
            0..=14 => return false,
            15..=44 => self.wants_sync = true,
            45..=94 => {
                let seen = self.outbox.seen_lately();
                if !seen.is_empty() {
                    let outgoing = seen[self.random.random_range(0..seen.len())].clone();
                    self.send(line, &outgoing);
                }
            }
            95..=194 => {
                if let Some(request) = self.amendments.choose(&mut self.random, self.number, instant) {
                    self.ask(line, &request);
                }
            }
            195..=699 => {
                for _ in 0..self.random.random_range(1..=4) {
                    self.send_something(line);
                }
            }
            _ => {}
        }
        true
    }

    fn send_something(&mut self, line: &mut Line) {
        if self.outbox.count() >= MAX_UNFINISHED {
            return;
        }
        let channel = self.channels[self.random.random_range(0..self.channels.len())];
        let client_id = uuid::Builder::from_random_bytes(self.random.random()).into_uuid();
        let content = format!("{}.{}", self.number, self.sent_to.len());
        let outgoing = Outgoing { channel, client_id, content };
        self.sent_to.insert(client_id, channel);
        self.outbox.add(outgoing.clone(), self.stage.scheduler.instant());
        self.send(line, &outgoing);
    }

    fn send(&mut self, line: &mut Line, outgoing: &Outgoing) {
        let Outgoing { channel, client_id, content } = outgoing.clone();
        let payload =
            json!({ "channel_id": channel, "content": content, "content_type": "text", "reply_to": null });
        line.send(&json!({ "type": "message.send", "id": client_id, "payload": payload }).to_string());
        self.record(Event::Sent { channel, client_id, content });
    }

    fn ask(&mut self, line: &mut Line, request: &Request) {
        // Pins are asked for over REST, which is not simulated.
        let Some(frame) = request.frame() else { return };
        line.send(&frame);
        let Request { channel, client_id, message_id, amendment } = request.clone();
        self.sent_to.insert(client_id, channel);
        self.record(Event::Asked { channel, client_id, message_id, amendment });
    }

    fn begin_sync(&mut self, line: &mut Line) {
        self.wants_sync = false;
        self.is_last_sync = self.stage.phase() == Phase::Leaving;
        self.syncs += 1;
        let id = format!("sync-{}", self.syncs);
        let (channels, changes) = (self.view.last_ids(), self.view.last_changes());
        let named = |((channel, last), (_, change)): (&(Uuid, Option<u64>), &(Uuid, u64))| {
            let last = last.map(|id| id.to_string());
            json!({ "channel_id": channel, "last_message_id": last, "last_change": change })
        };
        let asked: Vec<_> = channels.iter().zip(&changes).map(named).collect();
        let payload = json!({ "channels": asked, "limit": self.random.random_range(1..=50u32) });
        line.send(&json!({ "type": "sync", "id": id, "payload": payload }).to_string());
        self.record(Event::SyncSent { channels, changes });
        self.sync = Some((id, self.stage.scheduler.now()));
    }
}
