//! One client of the crash test: behaves as the contract asks of a client, badly on purpose where it may, and writes down
//! all that it sends and sees.

use std::collections::HashMap;
use std::time::{Duration, Instant};

use hyper::Method;
use rand::rngs::SmallRng;
use rand::{RngExt, SeedableRng};
use serde_json::json;
use tokio::time::{sleep, sleep_until, timeout, timeout_at};
use uuid::Uuid;

use super::amendments::{Amendments, Request};
use super::outbox::{Outbox, Outgoing};
use super::stage::{Phase, Stage, Unfinished};
use super::view::View;
use crate::amendment::Wish;
use crate::client::{Incoming, Message, ServerFrame, Socket, parse};
use crate::history::{ClientHistory, Event, Record, Seen};
use crate::rest::Account;

/// Messages under way per client.
const MAX_UNFINISHED: usize = 128;
/// Messages sent in one go, without waiting for anything.
const MAX_BURST: u32 = 8;
/// The longest content, in characters.
const MAX_CONTENT: usize = 2000;
/// `hello` waits for the log; a connection without it for so long is given up.
const HELLO_DEADLINE: Duration = Duration::from_secs(15);
/// A sync without `sync.done` for so long is given up with its connection.
const SYNC_DEADLINE: Duration = Duration::from_secs(20);
/// A server that takes nothing for so long is left.
const FLUSH_DEADLINE: Duration = Duration::from_secs(10);
/// A pin that is not answered for so long may have been set or not.
const PIN_DEADLINE: Duration = Duration::from_secs(3);
/// Between two attempts to connect.
const RECONNECT_MS: std::ops::Range<u64> = 20..250;
/// The longest time that a client does not read.
const MAX_STALL_MS: u64 = 600;

/// Who a client is.
pub(super) struct Persona {
    pub client: u32,
    pub account: Account,
    pub channels: Vec<Uuid>,
}

pub(super) struct Agent {
    persona: Persona,
    stage: Stage,
    unfinished: Unfinished,
    random: SmallRng,
    outbox: Outbox,
    amendments: Amendments,
    view: View,
    /// The channel of every message ever sent.
    sent_to: HashMap<Uuid, Uuid>,
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
enum Next {
    Stay,
    Stall(Duration),
    /// Ask for this over REST.
    Pin(Request),
    /// End the connection: with a close frame, or without a word.
    Leave {
        politely: bool,
    },
}

impl Agent {
    pub(super) fn new(persona: Persona, stage: Stage, unfinished: Unfinished, seed: u64) -> Self {
        let own_seed = seed ^ u64::from(persona.client + 1).wrapping_mul(0x9e37_79b9_7f4a_7c15);
        Self {
            view: View::new(&persona.channels),
            random: SmallRng::seed_from_u64(own_seed),
            persona,
            stage,
            unfinished,
            outbox: Outbox::default(),
            amendments: Amendments::default(),
            sent_to: HashMap::new(),
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
            match Socket::connect(&self.stage.target, &self.persona.account.access_token, nonce).await {
                Ok(socket) => {
                    self.connected();
                    let code = timeout_at(give_up.into(), self.live(socket)).await.unwrap_or(None);
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
        self.records.push(Record { at_us: self.stage.now_us(), connection: self.connection, event });
    }

    /// One connection to its end. Returns the server's close code, if there was one.
    async fn live(&mut self, mut socket: Socket) -> Option<u16> {
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
                        Next::Stay => {}
                        Next::Stall(time) => sleep(time).await,
                        Next::Pin(request) => self.pin(request).await,
                        Next::Leave { politely } => {
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
            self.unfinished.set(self.outbox.len() + self.amendments.len());
            if self.settled || !matches!(timeout(FLUSH_DEADLINE, socket.flush()).await, Ok(Ok(()))) {
                return None;
            }
        }
    }

    fn pause(&mut self) -> Duration {
        let factor = -(1.0 - self.random.random::<f64>()).ln();
        self.stage.mean_pause.mul_f64(factor.min(10.0))
    }

    fn act(&mut self, socket: &mut Socket) -> Next {
        let now = Instant::now();
        let sync_hangs =
            self.sync.as_ref().is_some_and(|(_, since)| now.duration_since(*since) > SYNC_DEADLINE);
        if sync_hangs || (!self.is_open && now.duration_since(self.connected_at) > HELLO_DEADLINE) {
            return Next::Leave { politely: false };
        }
        if !self.is_open {
            return Next::Stay;
        }
        for outgoing in self.outbox.due_for_retry(now) {
            self.send(socket, &outgoing);
        }
        for request in self.amendments.due_for_retry(now) {
            self.ask(socket, &request);
        }
        let leaving = self.stage.phase() == Phase::Leaving;
        self.wants_sync |= self.outbox.has_overdue(now) || (leaving && !self.is_last_sync);
        if self.wants_sync && self.sync.is_none() {
            self.begin_sync(socket);
        }
        match self.stage.phase() {
            Phase::Sending => self.misbehave_or_send(socket, now),
            Phase::Settling | Phase::Leaving => Next::Stay,
        }
    }

    fn misbehave_or_send(&mut self, socket: &mut Socket, now: Instant) -> Next {
        match self.random.random_range(0..1000u32) {
            0..=9 => return Next::Leave { politely: false },
            10..=14 => return Next::Leave { politely: true },
            15..=24 => return Next::Stall(Duration::from_millis(self.random.random_range(0..MAX_STALL_MS))),
            25..=44 => self.wants_sync = true,
            45..=94 => self.repeat_something(socket),
            95..=194 => {
                if let Some(request) = self.amendments.wish(&mut self.random, self.persona.client, now) {
                    if request.frame().is_none() {
                        return Next::Pin(request);
                    }
                    self.ask(socket, &request);
                }
            }
            195..=699 => {
                for _ in 0..self.random.random_range(1..=MAX_BURST) {
                    self.say_something(socket, now);
                }
            }
            _ => {}
        }
        Next::Stay
    }

    /// A retry of what the server has for certain.
    fn repeat_something(&mut self, socket: &mut Socket) {
        let seen = self.outbox.seen_lately();
        if !seen.is_empty() {
            let outgoing = seen[self.random.random_range(0..seen.len())].clone();
            self.send(socket, &outgoing);
        }
    }

    fn say_something(&mut self, socket: &mut Socket, now: Instant) {
        if self.outbox.len() >= MAX_UNFINISHED || self.persona.channels.is_empty() {
            return;
        }
        let channel = self.persona.channels[self.random.random_range(0..self.persona.channels.len())];
        let client_id = uuid::Builder::from_random_bytes(self.random.random()).into_uuid();
        let outgoing = Outgoing { channel, client_id, content: self.words() };
        self.sent_to.insert(client_id, channel);
        self.outbox.add(outgoing.clone(), now);
        self.send(socket, &outgoing);
    }

    /// Short and long, plain and with what JSON has to escape.
    fn words(&mut self) -> String {
        let mut words = format!("{}.{} ", self.persona.client, self.sent_to.len());
        match self.random.random_range(0..20u32) {
            0 => words.push_str("\"quoted\" \\ / \u{8}\t\n\u{1f} \u{2028}"),
            1 => words.push_str("ä ß 漢字 🦀 \u{200d} שלום"),
            2 => words.extend(std::iter::repeat_n('x', self.random.random_range(0..MAX_CONTENT))),
            _ => {}
        }
        words
    }

    fn send(&mut self, socket: &mut Socket, outgoing: &Outgoing) {
        let Outgoing { channel, client_id, content } = outgoing.clone();
        let payload =
            json!({ "channel_id": channel, "content": content, "content_type": "text", "reply_to": null });
        socket.queue(&json!({ "type": "message.send", "id": client_id, "payload": payload }).to_string());
        self.record(Event::Sent { channel, client_id, content });
    }

    fn asked(&mut self, request: &Request) {
        let Request { channel, client_id, message_id, wish } = request.clone();
        self.sent_to.insert(client_id, channel);
        self.record(Event::Asked { channel, client_id, message_id, wish });
    }

    fn ask(&mut self, socket: &mut Socket, request: &Request) {
        if let Some(frame) = request.frame() {
            socket.queue(&frame);
            self.asked(request);
        }
    }

    async fn pin(&mut self, request: Request) {
        self.asked(&request);
        let Request { channel, client_id, message_id, wish } = request;
        let pinned = matches!(wish, Wish::Pin { pinned: true });
        let method = if pinned { Method::PUT } else { Method::DELETE };
        let path = format!("/api/v1/channels/{channel}/pins/{message_id}");
        let call = self.stage.rest.call(method, &path, Some(&self.persona.account.access_token), None);
        let status = timeout(PIN_DEADLINE, call).await.ok().and_then(Result::ok).map(|answer| answer.status);
        self.record(match status {
            Some(200..300) => Event::Acked { channel, client_id },
            Some(code @ 400..500) => Event::Refused { channel, client_id, code: code.to_string() },
            _ => Event::Unconfirmed { channel, client_id },
        });
    }

    fn begin_sync(&mut self, socket: &mut Socket) {
        self.wants_sync = false;
        self.is_last_sync = self.stage.phase() == Phase::Leaving;
        self.syncs += 1;
        let id = format!("sync-{}", self.syncs);
        let channels = self.view.last_ids();
        let changes = self.view.last_changes();
        let named = |((channel, last), (_, change)): (&(Uuid, Option<u64>), &(Uuid, u64))| {
            let last = last.map(|id| id.to_string());
            json!({ "channel_id": channel, "last_message_id": last, "last_change": change })
        };
        let asked: Vec<_> = channels.iter().zip(&changes).map(named).collect();
        let limit = self.random.random_range(1..=200u32);
        let payload = json!({ "channels": asked, "limit": limit });
        socket.queue(&json!({ "type": "sync", "id": id, "payload": payload }).to_string());
        self.record(Event::SyncSent { channels, changes });
        self.sync = Some((id, Instant::now()));
    }

    fn read(&mut self, socket: &mut Socket, text: &[u8]) {
        let frame = match parse(text) {
            Ok(frame) => frame,
            Err(error) => {
                let text: String = String::from_utf8_lossy(text).chars().take(400).collect();
                return self.record(Event::Malformed { detail: format!("{error}: {text}") });
            }
        };
        match frame {
            ServerFrame::Hello { user_id } => self.hello(socket, user_id),
            ServerFrame::Ack { id } => self.acknowledged(&id),
            // The pipeline's refusals go to all devices of the user; those of another device are its own affair.
            ServerFrame::Rejected { client_id, code } => {
                if client_id.parse::<Uuid>().is_ok_and(|id| self.sent_to.contains_key(&id)) {
                    self.refused(&client_id, code);
                }
            }
            ServerFrame::New(message) => self.live_message(message),
            ServerFrame::Changed { channel_id, change } => {
                self.wants_sync |= self.view.change(channel_id, change.number);
                self.record(Event::Changed { channel: channel_id, change });
            }
            ServerFrame::Page(page) => {
                self.view.page(page.channel_id, &page.messages, page.reset);
                let messages: Vec<Seen> =
                    page.messages.into_iter().map(|message| self.seen(message)).collect();
                let (channel, has_more, reset) = (page.channel_id, page.has_more, page.reset);
                let changes = page.changes;
                self.view.changes_reach(channel, changes.last().map_or(0, |change| change.number));
                self.record(Event::Page { channel, messages, changes, has_more, reset });
            }
            ServerFrame::SyncDone { channels, .. } => {
                let changes =
                    channels.iter().map(|channel| (channel.channel_id, channel.last_change)).collect();
                let channels =
                    channels.iter().map(|channel| (channel.channel_id, channel.last_seq)).collect();
                self.sync_done(socket, channels, changes);
            }
            ServerFrame::Error { id, code, message, .. } => self.error(id.as_deref(), code, &message),
            ServerFrame::Goodbye { .. } | ServerFrame::Other(_) => {}
        }
    }

    fn hello(&mut self, socket: &mut Socket, user_id: Uuid) {
        self.record(Event::Opened);
        if user_id != self.persona.account.user_id {
            self.record(Event::Malformed { detail: format!("hello names {user_id}") });
        }
        self.is_open = true;
        self.begin_sync(socket);
        for outgoing in self.outbox.unacknowledged(Instant::now()) {
            self.send(socket, &outgoing);
        }
        for request in self.amendments.unanswered(Instant::now()) {
            self.ask(socket, &request);
        }
    }

    fn acknowledged(&mut self, id: &str) {
        let known = id.parse::<Uuid>().ok().and_then(|id| Some((id, *self.sent_to.get(&id)?)));
        let Some((client_id, channel)) = known else {
            return self
                .record(Event::Malformed { detail: format!("an ack for {id}, which was never sent") });
        };
        self.outbox.acknowledged(client_id);
        self.amendments.answered(client_id);
        self.record(Event::Acked { channel, client_id });
    }

    fn refused(&mut self, id: &str, code: String) {
        let known = id.parse::<Uuid>().ok().and_then(|id| Some((id, *self.sent_to.get(&id)?)));
        let Some((client_id, channel)) = known else {
            return self
                .record(Event::Malformed { detail: format!("{code} for {id}, which was never sent") });
        };
        if matches!(code.as_str(), "unavailable" | "internal") {
            return self.record(Event::Unconfirmed { channel, client_id });
        }
        self.outbox.finished(client_id, false);
        self.amendments.answered(client_id);
        self.record(Event::Refused { channel, client_id, code });
    }

    fn live_message(&mut self, message: Message) {
        self.wants_sync |= self.view.live(&message);
        let channel = message.channel_id;
        let message = self.seen(message);
        self.record(Event::New { channel, message });
    }

    /// A message as the history keeps it; one of our own is done with.
    fn seen(&mut self, message: Message) -> Seen {
        let is_own = message.sender.id == self.persona.account.user_id;
        if is_own {
            self.outbox.finished(message.client_id, true);
        }
        let channel = message.channel_id;
        let seen = Seen::from(message);
        self.amendments.saw(channel, &seen, is_own);
        seen
    }

    fn sync_done(&mut self, socket: &mut Socket, channels: Vec<(Uuid, u64)>, changes: Vec<(Uuid, u64)>) {
        for &(channel, last) in &changes {
            self.view.changes_reach(channel, last);
        }
        self.record(Event::SyncDone { channels, changes });
        self.view.synced();
        self.sync = None;
        for outgoing in self.outbox.acknowledged_unseen(Instant::now()) {
            self.send(socket, &outgoing);
        }
        self.settled = self.is_last_sync;
    }

    fn error(&mut self, id: Option<&str>, code: String, message: &str) {
        match (id, &self.sync) {
            (Some(id), Some((sync, _))) if id == sync => {
                // One channel is refused and the others go on; anything else ends the sync, which is asked for again.
                if code == "not_a_member" {
                    self.record(Event::SyncRefused { channel: None });
                } else {
                    self.sync = None;
                    self.wants_sync = true;
                    self.is_last_sync = false;
                }
            }
            (Some(id), _) => self.refused(id, code),
            (None, _) => self
                .record(Event::Malformed { detail: format!("an error out of nothing, {code}: {message}") }),
        }
    }
}
