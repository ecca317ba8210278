//! What a gateway asks of whoever holds its sockets: a reactor's [`Io`], or a simulation.

use std::net::SocketAddr;
use std::time::{Duration, Instant};

use ringside_reactor::{ConnectionId, Io, TimerId, TimerKey};

/// The sockets of one shard, its timers and its chance.
pub trait Sockets {
    /// The time of this turn.
    fn now(&self) -> Instant;

    /// Bytes that wait to be sent, for more to be appended; `None`: the connection takes nothing any more.
    fn queue(&mut self, connection: ConnectionId) -> Option<&mut Vec<u8>>;

    /// Bytes appended and not yet sent.
    fn queued_bytes(&self, connection: ConnectionId) -> usize;

    /// Closes, and drops what is queued.
    fn close_now(&mut self, connection: ConnectionId);

    /// Sends what is queued, then closes.
    fn close_after_flush(&mut self, connection: ConnectionId);

    /// Sends what is queued, then waits for the peer to close.
    fn close_after_answer(&mut self, connection: ConnectionId);

    /// Gives the gateway [`Input::Timer`](crate::Input::Timer) with the key after this time.
    fn set_timer(&mut self, after: Duration, key: TimerKey) -> TimerId;

    fn cancel_timer(&mut self, timer: TimerId);

    /// Who is at the other end; `None`: the connection is gone.
    fn peer_address(&mut self, connection: ConnectionId) -> Option<SocketAddr>;

    /// Connections that are open.
    fn connections(&self) -> usize;

    fn random(&mut self) -> u64;
}

impl Sockets for Io {
    fn now(&self) -> Instant {
        Self::now(self)
    }

    fn queue(&mut self, connection: ConnectionId) -> Option<&mut Vec<u8>> {
        Self::queue(self, connection)
    }

    fn queued_bytes(&self, connection: ConnectionId) -> usize {
        Self::queued_bytes(self, connection)
    }

    fn close_now(&mut self, connection: ConnectionId) {
        Self::close_now(self, connection);
    }

    fn close_after_flush(&mut self, connection: ConnectionId) {
        Self::close_after_flush(self, connection);
    }

    fn close_after_answer(&mut self, connection: ConnectionId) {
        Self::close_after_answer(self, connection);
    }

    fn set_timer(&mut self, after: Duration, key: TimerKey) -> TimerId {
        Self::set_timer(self, after, key)
    }

    fn cancel_timer(&mut self, timer: TimerId) {
        Self::cancel_timer(self, timer);
    }

    fn peer_address(&mut self, connection: ConnectionId) -> Option<SocketAddr> {
        Self::peer_address(self, connection)
    }

    fn connections(&self) -> usize {
        Self::connections(self)
    }

    fn random(&mut self) -> u64 {
        rand::random()
    }
}
