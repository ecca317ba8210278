//! The io_uring backend: maps connections to direct descriptors and decides how to accept.
//!
//! Accepting: one multishot request while there is plenty of room; near the limit single requests,
//! never more of them than there is room for, so that the table is never overrun. The ring's own
//! table is larger by the backlog, which is the most that one pass of a multishot can bring before
//! it is cancelled.

use std::io;
use std::net::SocketAddr;
use std::time::Duration;

use ringside_uring::{
    AcceptKind, Completion, Descriptor, ReceiveEnd as RingEnd, Ring, RingConfig, SetupError,
};

use super::{Event, Lease, Parts, ReceiveEnd, ReceivePool};
use crate::config::Config;
use crate::connection::ConnectionId;
use crate::counters::Counters;

/// Single accepts in flight near the limit.
const SINGLE_ACCEPTS: u32 = 16;

/// The multishot accept.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Multi {
    Off,
    Armed,
    Cancelling,
}

#[derive(Debug)]
pub(crate) struct UringDriver {
    ring: Ring,
    multi: Multi,
    singles: u32,
    /// Room above which the multishot accept is used.
    plenty: usize,
}

impl UringDriver {
    /// A ring for the calling thread, and how many connections it can hold.
    pub(crate) fn new(config: &Config) -> Result<(UringDriver, ReceivePool, u32), SetupError> {
        let limit = rustix::process::getrlimit(rustix::process::Resource::Nofile).current.unwrap_or(u64::MAX);
        let limit = u32::try_from(limit).unwrap_or(u32::MAX);
        let descriptors = (config.max_connections + config.listen_backlog).min(limit);
        let max_connections = config.max_connections.min(descriptors);
        let (ring, pool) = Ring::new(&RingConfig {
            submission_entries: config.submission_entries,
            completion_entries: config.completion_entries,
            descriptors,
            buffers: config.receive_buffers,
            buffer_bytes: config.receive_buffer_bytes,
        })?;
        let driver =
            UringDriver { ring, multi: Multi::Off, singles: 0, plenty: config.listen_backlog as usize };
        Ok((driver, ReceivePool::Ring(pool), max_connections))
    }

    /// Takes over the sockets that belong to the shard.
    pub(crate) fn attach(&mut self, parts: Parts<'_>) -> io::Result<()> {
        if let Some(listener) = parts.listener {
            // A ring waits for a blocking socket and gives up on a non-blocking one.
            listener.set_nonblocking(false)?;
            self.ring.listen(listener.into());
        }
        self.ring.watch_doorbell(parts.doorbell);
        Ok(())
    }

    pub(crate) fn receive(&mut self, id: ConnectionId) {
        self.ring.receive(descriptor(id));
    }

    pub(crate) fn send(&mut self, id: ConnectionId, buffer: Vec<u8>, offset: usize) {
        self.ring.send(descriptor(id), buffer, offset);
    }

    pub(crate) fn close(&mut self, id: ConnectionId) {
        self.ring.close(descriptor(id));
    }

    pub(crate) fn connect(&mut self, address: SocketAddr) -> io::Result<ConnectionId> {
        let descriptor = self.ring.socket(&address)?;
        self.ring.connect(descriptor, &address);
        Ok(connection(descriptor))
    }

    pub(crate) fn accept(&mut self, room: usize) {
        match self.multi {
            Multi::Off if room > self.plenty => {
                if self.ring.accept(AcceptKind::Multi) {
                    self.multi = Multi::Armed;
                }
            }
            Multi::Off => {
                let wanted = SINGLE_ACCEPTS.min(u32::try_from(room).unwrap_or(u32::MAX));
                while self.singles < wanted && self.ring.accept(AcceptKind::Once) {
                    self.singles += 1;
                }
            }
            Multi::Armed if room <= self.plenty => {
                self.ring.cancel_accept_multi();
                self.multi = Multi::Cancelling;
            }
            Multi::Armed | Multi::Cancelling => {}
        }
    }

    pub(crate) fn stop_listening(&mut self) {
        self.ring.stop_listening();
    }

    pub(crate) fn peer_address(&mut self, id: ConnectionId) -> Option<SocketAddr> {
        let file = self.ring.install(descriptor(id)).ok()?;
        let address = socket2::SockRef::from(&file).peer_addr().ok()?;
        address.as_socket()
    }

    pub(crate) fn wait(&mut self, timeout: Option<Duration>, counters: &Counters) -> io::Result<()> {
        let result = self.ring.wait(timeout);
        let statistics = self.ring.statistics();
        counters.enters.set(statistics.enters);
        counters.completion_overflows.set(statistics.completion_overflows);
        counters.stale_completions.set(statistics.stale_completions);
        result
    }

    pub(crate) fn next_event(&mut self) -> Option<Event> {
        loop {
            let completion = self.ring.next_completion()?;
            if let Some(event) = self.translate(completion) {
                return Some(event);
            }
        }
    }

    fn translate(&mut self, completion: Completion) -> Option<Event> {
        match completion {
            Completion::Accepted { descriptor, kind, armed } => {
                match kind {
                    AcceptKind::Once => self.singles -= 1,
                    AcceptKind::Multi if !armed => self.multi = Multi::Off,
                    // Still accepting though cancelled: the cancel came while it was on its way.
                    AcceptKind::Multi => self.multi = Multi::Armed,
                }
                Some(Event::Accepted(connection(descriptor)))
            }
            Completion::AcceptEnded { kind, errno } => {
                match kind {
                    AcceptKind::Once => self.singles -= 1,
                    AcceptKind::Multi => self.multi = Multi::Off,
                }
                accept_failure(errno).map(Event::AcceptFailed)
            }
            Completion::Received { descriptor, lease, armed } => {
                Some(Event::Received { id: connection(descriptor), lease: Lease::Ring(lease), more: armed })
            }
            Completion::ReceiveEnded { descriptor, end } => {
                let end = match end {
                    RingEnd::Eof => ReceiveEnd::Eof,
                    RingEnd::NoBuffers => ReceiveEnd::NoBuffers,
                    RingEnd::Error(errno) => ReceiveEnd::Error(errno),
                    // By our own close: what follows is `Closed`.
                    RingEnd::Cancelled => return None,
                };
                Some(Event::ReceiveEnded(connection(descriptor), end))
            }
            Completion::Sent { descriptor, buffer, offset, result } => {
                Some(Event::Sent { id: connection(descriptor), buffer, offset, result })
            }
            Completion::Connected { descriptor, result } => {
                Some(Event::Connected(connection(descriptor), result))
            }
            Completion::Closed(descriptor) => Some(Event::Closed(connection(descriptor))),
            Completion::Readable(_) | Completion::Doorbell => None,
        }
    }
}

/// The errno for which accepting must pause; others concern one connection that never was.
fn accept_failure(errno: i32) -> Option<i32> {
    use rustix::io::Errno;
    matches!(
        Errno::from_raw_os_error(errno),
        Errno::NFILE | Errno::MFILE | Errno::NOMEM | Errno::NOBUFS | Errno::INVAL
    )
    .then_some(errno)
}

fn descriptor(id: ConnectionId) -> Descriptor {
    Descriptor::new(id.slot(), id.generation())
}

fn connection(descriptor: Descriptor) -> ConnectionId {
    ConnectionId::new(descriptor.slot(), descriptor.generation())
}
