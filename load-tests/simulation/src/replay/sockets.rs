//! The sockets of a replayed shard: they answer what they had answered, and hash what is sent.

use std::collections::{BTreeMap, VecDeque};
use std::net::SocketAddr;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use ringside_gateway::Sockets;
use ringside_gateway::recorder::{Appended, SentBytes, WorldAnswer};
use ringside_reactor::{ConnectionId, TimerId, TimerKey};

/// What the world had answered, in order, and the first question that was another one.
#[derive(Clone, Default)]
pub(super) struct Answers(Arc<Mutex<State>>);

#[derive(Default)]
struct State {
    waiting: VecDeque<WorldAnswer>,
    difference: Option<String>,
}

impl Answers {
    fn state(&self) -> MutexGuard<'_, State> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    pub(super) fn next(&self) -> Option<WorldAnswer> {
        self.state().waiting.pop_front()
    }

    pub(super) fn differ(&self, difference: String) {
        self.state().difference.get_or_insert(difference);
    }
}

pub(super) struct ReplayedSockets {
    now: Instant,
    answers: Answers,
    queues: BTreeMap<u64, Vec<u8>>,
    appended: Appended,
}

impl ReplayedSockets {
    pub(super) fn new(answers: Answers) -> Self {
        Self { now: Instant::now(), answers, queues: BTreeMap::new(), appended: Appended::default() }
    }

    /// An input begins, in whose course the world answered this.
    pub(super) fn begin(&mut self, now: Instant, answers: Vec<WorldAnswer>) {
        self.now = now;
        *self.answers.state() = State { waiting: answers.into(), difference: None };
    }

    /// What the input made the shard send.
    ///
    /// # Errors
    /// It asked for something else than it had, or for less.
    pub(super) fn finish(&mut self) -> Result<Vec<SentBytes>, String> {
        let State { waiting, difference } = std::mem::take(&mut *self.answers.state());
        if let Some(difference) = difference {
            return Err(difference);
        }
        if !waiting.is_empty() {
            return Err(format!("nobody asks for {waiting:?}, which had been answered"));
        }
        let mut queues = std::mem::take(&mut self.queues);
        Ok(std::mem::take(&mut self.appended).finish(|connection| queues.remove(&connection)))
    }

    fn end(&mut self, connection: ConnectionId) {
        let connection = connection.to_u64();
        self.appended.end(connection, self.queues.get(&connection).map(Vec::as_slice));
    }

    fn answered<T>(&self, asked: &str, read: impl Fn(WorldAnswer) -> Option<T>) -> Option<T> {
        let answer = self.answers.next();
        let read = answer.and_then(read);
        if read.is_none() {
            self.answers.differ(format!("{asked} is asked, {answer:?} had been answered"));
        }
        read
    }
}

impl Sockets for ReplayedSockets {
    fn now(&self) -> Instant {
        self.now
    }

    fn queue(&mut self, connection: ConnectionId) -> Option<&mut Vec<u8>> {
        let takes = |answer| match answer {
            WorldAnswer::Queue(takes) => Some(takes),
            _ => None,
        };
        if !self.answered("a queue", takes)? {
            return None;
        }
        let queue = self.queues.entry(connection.to_u64()).or_default();
        self.appended.begin(connection.to_u64(), queue.len());
        Some(queue)
    }

    fn queued_bytes(&self, _: ConnectionId) -> usize {
        let bytes = |answer| match answer {
            WorldAnswer::QueuedBytes(bytes) => Some(bytes),
            _ => None,
        };
        self.answered("a queue's length", bytes).unwrap_or_default()
    }

    fn close_now(&mut self, connection: ConnectionId) {
        self.end(connection);
    }

    fn close_after_flush(&mut self, connection: ConnectionId) {
        self.end(connection);
    }

    fn close_after_answer(&mut self, connection: ConnectionId) {
        self.end(connection);
    }

    fn set_timer(&mut self, _: Duration, _: TimerKey) -> TimerId {
        let timer = |answer| match answer {
            WorldAnswer::Timer(timer) => Some(TimerId::from_u64(timer)),
            _ => None,
        };
        self.answered("a timer", timer).unwrap_or(TimerId::from_u64(0))
    }

    fn cancel_timer(&mut self, _: TimerId) {}

    fn peer_address(&mut self, _: ConnectionId) -> Option<SocketAddr> {
        let peer = |answer| match answer {
            WorldAnswer::Peer(peer) => Some(peer),
            _ => None,
        };
        self.answered("a peer", peer).flatten()
    }

    fn connections(&self) -> usize {
        let connections = |answer| match answer {
            WorldAnswer::Connections(connections) => Some(connections),
            _ => None,
        };
        self.answered("how many connections there are", connections).unwrap_or_default()
    }

    fn random(&mut self) -> u64 {
        let random = |answer| match answer {
            WorldAnswer::Random(random) => Some(random),
            _ => None,
        };
        self.answered("chance", random).unwrap_or_default()
    }
}
