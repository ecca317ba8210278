//! The one way in which the loop speaks to the kernel, with its two backends.
//!
//! Both speak in completions: the loop asks (`receive`, `send`, `close`, `connect`, `accept`) and
//! later takes [`Event`]s. A backend names connections; it never names two alike, and it reuses a
//! slot only after its [`Event::Closed`].

mod poll;

use std::io;
use std::net::SocketAddr;
use std::time::Duration;

use crate::connection::ConnectionId;
use crate::counters::Counters;
use poll::PollDriver;

/// What the kernel has to say.
#[derive(Debug)]
pub(crate) enum Event {
    Accepted(ConnectionId),
    /// Accepting failed: the errno. Pause before the next attempt.
    AcceptFailed(i32),
    Connected(ConnectionId, Result<(), i32>),
    /// `more`: the receive is still armed. The lease must be given back.
    Received {
        id: ConnectionId,
        lease: Lease,
        more: bool,
    },
    ReceiveEnded(ConnectionId, ReceiveEnd),
    /// The kernel took the first bytes from `offset` on, maybe not all; the buffer comes back.
    Sent {
        id: ConnectionId,
        buffer: Vec<u8>,
        offset: usize,
        result: Result<usize, i32>,
    },
    /// The descriptor is closed, nothing of this connection comes any more.
    Closed(ConnectionId),
}

/// Why a receive is no longer armed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum ReceiveEnd {
    /// The peer closed its side.
    Eof,
    /// The receive pool was empty: arm again after giving back.
    NoBuffers,
    Error(i32),
}

/// A receive buffer lent to the loop: neither `Clone` nor `Copy`, to be given back.
#[derive(Debug)]
#[must_use]
pub(crate) enum Lease {
    Scratch(usize),
}

/// The receive pool, apart from the driver, so that the handler can use a lent buffer and the
/// connections at the same time.
#[derive(Debug)]
pub(crate) enum ReceivePool {
    /// One buffer, as a readiness loop needs no more.
    Scratch(Box<[u8]>),
}

impl ReceivePool {
    pub(crate) fn lent(&mut self, lease: &Lease) -> &mut [u8] {
        match (self, lease) {
            (ReceivePool::Scratch(buffer), Lease::Scratch(len)) => &mut buffer[..*len],
        }
    }

    pub(crate) fn give_back(&mut self, lease: Lease) {
        match (self, lease) {
            (ReceivePool::Scratch(_), Lease::Scratch(_)) => {}
        }
    }
}

/// The kernel interface of a shard.
#[derive(Debug)]
pub(crate) enum Driver {
    Poll(PollDriver),
}

macro_rules! each {
    ($self:expr, $driver:ident => $call:expr) => {
        match $self {
            Driver::Poll($driver) => $call,
        }
    };
}

impl Driver {
    /// Arms the receive of a connection that was opened, or whose receive ended.
    pub(crate) fn receive(&mut self, id: ConnectionId) {
        each!(self, driver => driver.receive(id));
    }

    /// Sends `buffer[offset..]`. One send at a time per connection.
    pub(crate) fn send(&mut self, id: ConnectionId, buffer: Vec<u8>, offset: usize) {
        each!(self, driver => driver.send(id, buffer, offset));
    }

    /// Closes: what is in flight comes back, then [`Event::Closed`].
    pub(crate) fn close(&mut self, id: ConnectionId) {
        each!(self, driver => driver.close(id));
    }

    /// Begins a connection; [`Event::Connected`] tells how it went.
    pub(crate) fn connect(&mut self, address: SocketAddr) -> io::Result<ConnectionId> {
        each!(self, driver => driver.connect(address))
    }

    /// How many connections may be accepted until the next call.
    pub(crate) fn accept(&mut self, room: usize) {
        each!(self, driver => driver.accept(room));
    }

    /// Closes the listening socket.
    pub(crate) fn stop_listening(&mut self) {
        each!(self, driver => driver.stop_listening());
    }

    /// Gives the kernel what was asked and waits for an event, the doorbell or the time-out.
    pub(crate) fn wait(&mut self, timeout: Option<Duration>, counters: &Counters) -> io::Result<()> {
        each!(self, driver => driver.wait(timeout, counters))
    }

    /// The next event of this turn.
    pub(crate) fn next_event(&mut self, pool: &mut ReceivePool) -> Option<Event> {
        each!(self, driver => driver.next_event(pool))
    }

    pub(crate) fn peer_address(&mut self, id: ConnectionId) -> Option<SocketAddr> {
        each!(self, driver => driver.peer_address(id))
    }
}

/// What a driver is made of.
pub(crate) struct Parts<'a> {
    pub(crate) config: &'a crate::Config,
    pub(crate) listener: Option<std::net::TcpListener>,
    pub(crate) doorbell: std::sync::Arc<std::os::fd::OwnedFd>,
}

/// Makes the driver that the configuration asks for, and says which it is.
pub(crate) fn open(parts: Parts<'_>) -> io::Result<(Driver, ReceivePool, crate::Backend)> {
    let (driver, pool) = PollDriver::new(parts)?;
    Ok((Driver::Poll(driver), pool, crate::Backend::Poll))
}
