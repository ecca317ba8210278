//! The one way in which the loop speaks to the kernel, with its two backends.
//!
//! Both speak in completions: the loop asks (`receive`, `send`, `close`, `connect`, `accept`) and
//! later takes [`Event`]s. A backend names connections; it never names two alike, and it reuses a
//! slot only after its [`Event::Closed`].

mod poll;
mod uring;

use std::io;
use std::net::{SocketAddr, TcpListener};
use std::os::fd::OwnedFd;
use std::sync::Arc;
use std::time::Duration;

use crate::connection::ConnectionId;
use crate::counters::Counters;
use crate::{Backend, Config};
use poll::PollDriver;
use uring::UringDriver;

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
    /// Of the ring of this number.
    Ring(usize, ringside_uring::Lease),
}

/// The receive pool, apart from the driver, so that the handler can use a lent buffer and the
/// connections at the same time.
#[derive(Debug)]
pub(crate) enum ReceivePool {
    /// One buffer, as a readiness loop needs no more.
    Scratch(Box<[u8]>),
    /// One per ring.
    Rings(Vec<ringside_uring::BufferPool>),
}

impl ReceivePool {
    pub(crate) fn lent(&mut self, lease: &Lease) -> &mut [u8] {
        match (self, lease) {
            (ReceivePool::Scratch(buffer), Lease::Scratch(len)) => &mut buffer[..*len],
            (ReceivePool::Rings(pools), Lease::Ring(ring, lease)) => pools[*ring].lent(lease),
            _ => unreachable!("a driver and its pool are made together"),
        }
    }

    pub(crate) fn give_back(&mut self, lease: Lease) {
        match (self, lease) {
            (ReceivePool::Rings(pools), Lease::Ring(ring, lease)) => pools[ring].give_back(lease),
            (_, Lease::Scratch(_)) => {}
            _ => unreachable!("a driver and its pool are made together"),
        }
    }
}

/// The kernel interface of a shard.
#[derive(Debug)]
pub(crate) enum Driver {
    Uring(Box<UringDriver>),
    Poll(Box<PollDriver>),
}

macro_rules! each {
    ($self:expr, $driver:ident => $call:expr) => {
        match $self {
            Driver::Uring($driver) => $call,
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

    /// A long idle connection: the driver may use less memory for it. It wakes by itself.
    pub(crate) fn doze(&mut self, id: ConnectionId) {
        match self {
            Driver::Uring(driver) => driver.doze(id),
            Driver::Poll(_) => {}
        }
    }

    /// True if [`Driver::doze`] saves anything.
    pub(crate) fn can_doze(&self) -> bool {
        matches!(self, Driver::Uring(_))
    }

    /// Ends our side of the stream; the peer's goes on.
    pub(crate) fn shutdown(&mut self, id: ConnectionId) {
        each!(self, driver => driver.shutdown(id));
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
    pub(crate) fn next_event(&mut self, pool: &mut ReceivePool) -> io::Result<Option<Event>> {
        match self {
            Driver::Uring(driver) => driver.next_event(),
            Driver::Poll(driver) => Ok(driver.next_event(pool)),
        }
    }

    pub(crate) fn peer_address(&mut self, id: ConnectionId) -> Option<SocketAddr> {
        each!(self, driver => driver.peer_address(id))
    }
}

/// What a driver is made of.
pub(crate) struct Parts<'a> {
    pub(crate) config: &'a Config,
    pub(crate) listener: Option<TcpListener>,
    pub(crate) doorbell: Arc<OwnedFd>,
}

/// A driver, ready.
pub(crate) struct Opened {
    pub(crate) driver: Driver,
    pub(crate) pool: ReceivePool,
    pub(crate) backend: Backend,
    /// What the configuration asks for, or what the system allows.
    pub(crate) max_connections: u32,
}

/// Makes the driver that the configuration asks for. [`Backend::Auto`] asks the kernel, and takes
/// poll with one warning where io_uring can't be had.
pub(crate) fn open(parts: Parts<'_>) -> io::Result<Opened> {
    match parts.config.backend {
        Backend::Poll => open_poll(parts),
        Backend::Uring => {
            let made = UringDriver::new(parts.config).map_err(io::Error::other)?;
            open_uring(made, parts)
        }
        Backend::Auto => match UringDriver::new(parts.config) {
            Ok(made) => open_uring(made, parts),
            Err(error) => {
                tracing::warn!("{error}; using the poll backend");
                open_poll(parts)
            }
        },
    }
}

fn open_uring(
    (mut driver, pool, max_connections): (UringDriver, ReceivePool, u32),
    parts: Parts<'_>,
) -> io::Result<Opened> {
    if max_connections < parts.config.max_connections {
        tracing::warn!(max_connections, "RLIMIT_NOFILE allows fewer connections per shard than configured");
    }
    driver.attach(parts)?;
    Ok(Opened { driver: Driver::Uring(Box::new(driver)), pool, backend: Backend::Uring, max_connections })
}

fn open_poll(parts: Parts<'_>) -> io::Result<Opened> {
    let max_connections = parts.config.max_connections;
    let (driver, pool) = PollDriver::new(parts)?;
    Ok(Opened { driver: Driver::Poll(Box::new(driver)), pool, backend: Backend::Poll, max_connections })
}
/// Whether an accept failed for the sake of one connection that never was, or was interrupted, so that the next may succeed
/// at once (accept(2) lists them). Any other failure would come again.
fn is_of_one_connection(errno: i32) -> bool {
    use rustix::io::Errno;
    matches!(
        Errno::from_raw_os_error(errno),
        Errno::AGAIN
            | Errno::CANCELED
            | Errno::CONNABORTED
            | Errno::HOSTDOWN
            | Errno::HOSTUNREACH
            | Errno::INTR
            | Errno::NETDOWN
            | Errno::NETUNREACH
            | Errno::NONET
            | Errno::NOPROTOOPT
            | Errno::OPNOTSUPP
            | Errno::PROTO
    )
}
