//! A shard's inputs and what the world answered it, written down for a replay.

use std::net::{IpAddr, SocketAddr};
#[expect(clippy::disallowed_types, reason = "one shard's own: what a shard is given must be `Sync`")]
use std::sync::Mutex;
use std::sync::{Arc, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use ringside_edge_protocol::{ShardId, ToShard};
use ringside_reactor::{ConnectionId, TimerId, TimerKey};
use ringside_recording::Track;
use ringside_types::{Limits, PublicKey, UnixMillis};
use serde::{Deserialize, Serialize};
use xxhash_rust::xxh3::xxh3_64;

use crate::config::{Config, PeerLookup};
use crate::gateway::{Gateway, Input};
use crate::outgoing::HandOver;
use crate::sockets::Sockets;

/// What a shard takes in.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub enum ShardInput {
    /// The shard begins, with its part of the configuration.
    Started(Box<ShardStart>),
    Opened(u64),
    /// Bytes of a connection, in base64.
    Bytes(u64, String),
    Closed(u64),
    Timer(TimerKey),
    /// The next of what the node has said.
    Mail,
    /// The server lets its connections go, within so many milliseconds: it says so itself.
    Drain(u64),
    Overflowed(u64),
    TurnEnded,
}

/// What a shard begins with.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct ShardStart {
    pub shard: u16,
    /// What its thread's hashes are seeded with.
    pub seed: u64,
    pub limits: Limits,
    pub heartbeat_interval_ms: u64,
    pub origins: Vec<String>,
    pub api_port: u16,
    pub connections_max: u32,
    pub trusted_proxies: Vec<IpAddr>,
    pub keys: Vec<PublicKey>,
    pub time: UnixMillis,
}

/// What the world answered to a question of the shard's.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum WorldAnswer {
    /// Whether a connection takes anything.
    Queue(bool),
    QueuedBytes(usize),
    Timer(u64),
    Peer(Option<SocketAddr>),
    /// Who is behind a peer.
    Behind(IpAddr),
    Connections(usize),
    Random(u64),
    /// Whether the node took requests.
    HandedOver(bool),
}

/// What one input made the shard send to a connection.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct SentBytes {
    pub connection: u64,
    pub bytes: usize,
    pub hash: u64,
}

/// One input of a shard, what the world answered meanwhile, and what came of it.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct ShardEntry {
    pub input: ShardInput,
    pub answers: Vec<WorldAnswer>,
    /// What was appended to queues, in the order of the connections' numbers.
    pub sent: Vec<SentBytes>,
}

/// Answers in their order. A shard's functions that ask the world without its sockets add to them, too.
#[derive(Clone, Debug, Default)]
#[expect(clippy::disallowed_types, reason = "one shard's own: what a shard is given must be `Sync`")]
pub struct WorldAnswers(Arc<Mutex<Vec<WorldAnswer>>>);

impl WorldAnswers {
    fn all(&self) -> MutexGuard<'_, Vec<WorldAnswer>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    pub fn push(&self, answer: WorldAnswer) {
        self.all().push(answer);
    }

    fn take(&self) -> Vec<WorldAnswer> {
        std::mem::take(&mut self.all())
    }
}

/// Writes down what a shard takes in.
#[derive(Debug)]
pub struct ShardRecorder {
    track: Track,
    answers: WorldAnswers,
}

impl ShardRecorder {
    /// Records a gateway that is made with what this gives back, and with these keys.
    pub fn new(
        mut track: Track,
        seed: u64,
        shard: ShardId,
        config: &Config,
        hand_over: HandOver,
        keys: Vec<PublicKey>,
        time: UnixMillis,
    ) -> (Self, Config, HandOver) {
        let Config { limits, heartbeat_interval_ms, origins, connections_max, trusted_proxies, peers } =
            config.clone();
        let start = ShardStart {
            shard: shard.0,
            seed,
            limits,
            heartbeat_interval_ms,
            origins: origins.listed,
            api_port: origins.api_port,
            connections_max,
            trusted_proxies: trusted_proxies.addresses().to_vec(),
            keys,
            time,
        };
        let moment = track.moment_now();
        let input = ShardInput::Started(Box::new(start));
        track.write(moment, &ShardEntry { input, answers: Vec::new(), sent: Vec::new() });
        let answers = WorldAnswers::default();
        let told = answers.clone();
        let lookup = PeerLookup::new(move |peer| {
            let behind = peers.of(peer);
            told.push(WorldAnswer::Behind(behind));
            behind
        });
        let told = answers.clone();
        let recorded: HandOver = Arc::new(move |batch| {
            let handed = hand_over(batch);
            told.push(WorldAnswer::HandedOver(handed.is_ok()));
            handed
        });
        (Self { track, answers }, Config { peers: lookup, ..config.clone() }, recorded)
    }

    /// Has a gateway take an input, with sockets whose answers are written down.
    pub fn record(&mut self, gateway: &mut Gateway, io: &mut impl Sockets, input: Input<'_>) {
        let (moment, written) = (self.track.moment(io.now()), ShardInput::of(&input));
        let mut recorded = RecordedSockets { io, answers: &self.answers, appended: Appended::default() };
        gateway.handle(&mut recorded, input);
        let sent = recorded.finish();
        let entry = ShardEntry { input: written, answers: self.answers.take(), sent };
        let is_turn_end = entry.input == ShardInput::TurnEnded;
        // Most turns end with nothing to do.
        if !is_turn_end || !entry.answers.is_empty() || !entry.sent.is_empty() {
            self.track.write(moment, &entry);
        }
        if is_turn_end {
            self.track.flush();
        }
    }
}

impl ShardInput {
    fn of(input: &Input<'_>) -> Self {
        match input {
            Input::Opened(connection) => Self::Opened(connection.to_u64()),
            Input::Bytes(connection, data) => Self::Bytes(connection.to_u64(), STANDARD.encode(data)),
            Input::Closed(connection) => Self::Closed(connection.to_u64()),
            Input::Timer(timer) => Self::Timer(*timer),
            Input::Mail(ToShard::Drain { window_ms }) => Self::Drain(*window_ms),
            Input::Mail(_) => Self::Mail,
            Input::Overflowed(connection) => Self::Overflowed(connection.to_u64()),
            Input::TurnEnded => Self::TurnEnded,
        }
    }

    /// The bytes of an input, which may be changed in place.
    ///
    /// # Errors
    /// They are no base64.
    pub fn decoded(text: &str) -> Result<Vec<u8>, base64::DecodeError> {
        STANDARD.decode(text)
    }
}

/// What was appended to queues in the course of one input.
#[derive(Debug, Default)]
pub struct Appended {
    /// Connections, with the length that their queue had.
    begun: Vec<(u64, usize)>,
    sent: Vec<SentBytes>,
}

impl Appended {
    /// A queue of that length is about to be appended to.
    pub fn begin(&mut self, connection: u64, length: usize) {
        if !self.begun.iter().any(|(of, _)| *of == connection) {
            self.begun.push((connection, length));
        }
    }

    /// A queue, before it is closed, or at the input's end.
    pub fn end(&mut self, connection: u64, queue: Option<&[u8]>) {
        let Some(at) = self.begun.iter().position(|(of, _)| *of == connection) else { return };
        let (_, length) = self.begun.swap_remove(at);
        // An overflow drops what was queued before.
        let appended = queue.map_or(&[][..], |queue| queue.get(length..).unwrap_or(queue));
        if !appended.is_empty() {
            self.sent.push(SentBytes { connection, bytes: appended.len(), hash: xxh3_64(appended) });
        }
    }

    /// All that was sent, by connection; `queue` gives those that were not ended.
    pub fn finish(mut self, mut queue: impl FnMut(u64) -> Option<Vec<u8>>) -> Vec<SentBytes> {
        while let Some((connection, _)) = self.begun.last().copied() {
            let queued = queue(connection);
            self.end(connection, queued.as_deref());
        }
        self.sent.sort_unstable_by_key(|sent| sent.connection);
        self.sent
    }
}

/// Sockets whose answers are written down.
pub(crate) struct RecordedSockets<'a, S> {
    io: &'a mut S,
    answers: &'a WorldAnswers,
    appended: Appended,
}

impl<S: Sockets> RecordedSockets<'_, S> {
    fn finish(self) -> Vec<SentBytes> {
        let Self { io, appended, .. } = self;
        appended.finish(|connection| io.queue(ConnectionId::from_u64(connection)).cloned())
    }

    fn end(&mut self, connection: ConnectionId) {
        let Self { io, appended, .. } = self;
        appended.end(connection.to_u64(), io.queue(connection).map(|queue| queue.as_slice()));
    }
}

impl<S: Sockets> Sockets for RecordedSockets<'_, S> {
    fn now(&self) -> Instant {
        self.io.now()
    }

    fn queue(&mut self, connection: ConnectionId) -> Option<&mut Vec<u8>> {
        let Self { io, answers, appended } = self;
        let queue = io.queue(connection);
        answers.push(WorldAnswer::Queue(queue.is_some()));
        let queue = queue?;
        appended.begin(connection.to_u64(), queue.len());
        Some(queue)
    }

    fn queued_bytes(&self, connection: ConnectionId) -> usize {
        let bytes = self.io.queued_bytes(connection);
        self.answers.push(WorldAnswer::QueuedBytes(bytes));
        bytes
    }

    fn close_now(&mut self, connection: ConnectionId) {
        self.end(connection);
        self.io.close_now(connection);
    }

    fn close_after_flush(&mut self, connection: ConnectionId) {
        self.end(connection);
        self.io.close_after_flush(connection);
    }

    fn close_after_answer(&mut self, connection: ConnectionId) {
        self.end(connection);
        self.io.close_after_answer(connection);
    }

    fn set_timer(&mut self, after: Duration, key: TimerKey) -> TimerId {
        let timer = self.io.set_timer(after, key);
        self.answers.push(WorldAnswer::Timer(timer.to_u64()));
        timer
    }

    fn cancel_timer(&mut self, timer: TimerId) {
        self.io.cancel_timer(timer);
    }

    fn peer_address(&mut self, connection: ConnectionId) -> Option<SocketAddr> {
        let peer = self.io.peer_address(connection);
        self.answers.push(WorldAnswer::Peer(peer));
        peer
    }

    fn connections(&self) -> usize {
        let connections = self.io.connections();
        self.answers.push(WorldAnswer::Connections(connections));
        connections
    }

    fn random(&mut self) -> u64 {
        let random = self.io.random();
        self.answers.push(WorldAnswer::Random(random));
        random
    }
}
