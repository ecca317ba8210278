//! The sockets and timers of one shard, in the place of a reactor.

use std::collections::BTreeMap;
use std::net::SocketAddr;
use std::time::{Duration, Instant};

use ringside_gateway::Sockets;
use ringside_reactor::{ConnectionId, TimerId, TimerKey};

use crate::scheduler::Scheduler;
use crate::wire::Wire;

/// What a client reads.
#[derive(Debug)]
pub enum ToClient {
    Bytes(Vec<u8>),
    Closed,
}

struct Socket {
    queue: Vec<u8>,
    wire: Wire<ToClient>,
    /// Nothing is taken any more: it closes at the end of the turn.
    is_ending: bool,
}

pub struct SimulatedSockets {
    scheduler: Scheduler,
    sockets: BTreeMap<u64, Socket>,
    timers: BTreeMap<(Duration, u64), TimerKey>,
    due: BTreeMap<u64, Duration>,
    next: u64,
}

impl SimulatedSockets {
    pub fn new(scheduler: Scheduler) -> Self {
        let (sockets, timers, due) = (BTreeMap::new(), BTreeMap::new(), BTreeMap::new());
        Self { scheduler, sockets, timers, due, next: 0 }
    }

    pub fn open(&mut self, connection: ConnectionId, wire: Wire<ToClient>) {
        let socket = Socket { queue: Vec::new(), wire, is_ending: false };
        self.sockets.insert(connection.to_u64(), socket);
    }

    /// The peer has closed; false: it is gone already.
    pub fn peer_closed(&mut self, connection: ConnectionId) -> bool {
        self.sockets.remove(&connection.to_u64()).is_some()
    }

    pub fn is_open(&self, connection: ConnectionId) -> bool {
        self.sockets.get(&connection.to_u64()).is_some_and(|socket| !socket.is_ending)
    }

    /// Sends what is queued; returns the connections that end with it.
    pub fn flush(&mut self) -> Vec<ConnectionId> {
        let mut ended = Vec::new();
        for (token, socket) in &mut self.sockets {
            if !socket.queue.is_empty() {
                socket.wire.send(ToClient::Bytes(std::mem::take(&mut socket.queue)));
            }
            if socket.is_ending {
                socket.wire.send(ToClient::Closed);
                ended.push(ConnectionId::from_u64(*token));
            }
        }
        for connection in &ended {
            self.sockets.remove(&connection.to_u64());
        }
        ended
    }

    /// When the next timer is due.
    pub fn next_due(&self) -> Option<Duration> {
        self.timers.first_key_value().map(|((at, _), _)| *at)
    }

    /// A timer that has run out.
    pub fn pop_due(&mut self) -> Option<TimerKey> {
        let ((at, number), _) = self.timers.first_key_value()?;
        let key = (*at, *number);
        if key.0 > self.scheduler.now() {
            return None;
        }
        self.due.remove(&key.1);
        self.timers.remove(&key)
    }

    fn end(&mut self, connection: ConnectionId, drops_queue: bool) {
        if let Some(socket) = self.sockets.get_mut(&connection.to_u64()) {
            socket.is_ending = true;
            if drops_queue {
                socket.queue.clear();
            }
        }
    }
}

impl Sockets for SimulatedSockets {
    fn now(&self) -> Instant {
        self.scheduler.instant()
    }

    fn queue(&mut self, connection: ConnectionId) -> Option<&mut Vec<u8>> {
        let socket = self.sockets.get_mut(&connection.to_u64()).filter(|socket| !socket.is_ending)?;
        Some(&mut socket.queue)
    }

    fn queued_bytes(&self, connection: ConnectionId) -> usize {
        self.sockets.get(&connection.to_u64()).map_or(0, |socket| socket.queue.len())
    }

    fn close_now(&mut self, connection: ConnectionId) {
        self.end(connection, true);
    }

    fn close_after_flush(&mut self, connection: ConnectionId) {
        self.end(connection, false);
    }

    fn close_after_answer(&mut self, connection: ConnectionId) {
        self.end(connection, false);
    }

    fn set_timer(&mut self, after: Duration, key: TimerKey) -> TimerId {
        self.next += 1;
        let at = self.scheduler.now() + after;
        self.timers.insert((at, self.next), key);
        self.due.insert(self.next, at);
        TimerId::from_u64(self.next)
    }

    fn cancel_timer(&mut self, timer: TimerId) {
        let number = timer.to_u64();
        if let Some(at) = self.due.remove(&number) {
            self.timers.remove(&(at, number));
        }
    }

    fn peer_address(&mut self, _: ConnectionId) -> Option<SocketAddr> {
        Some(SocketAddr::from(([127, 0, 0, 1], 1)))
    }

    fn connections(&self) -> usize {
        self.sockets.len()
    }

    fn random(&mut self) -> u64 {
        self.scheduler.random()
    }
}
