//! The io_uring backend: maps connections to direct descriptors and decides how to accept.
//!
//! Accepting: one multishot request while there is plenty of room; near the limit single requests,
//! never more of them than there is room for, so that the table is never overrun. A ring's own
//! table is larger by the backlog, which is the most that one pass of a multishot can bring before
//! it is cancelled.
//!
//! The kernel allows RLIMIT_NOFILE direct descriptors per ring. A shard of more connections opens
//! further rings on its thread: all accept from the one listening socket, and the others ring the
//! shard's doorbell, on which the first one waits.

use std::io;
use std::net::SocketAddr;
use std::time::Duration;

use ringside_uring::{
    AcceptKind, Completion, Descriptor, ReceiveEnd as RingEnd, Ring, RingConfig, SetupError,
};

use super::{Event, Lease, Parts, ReceiveEnd, ReceivePool, is_of_one_connection};
use crate::config::Config;
use crate::connection::ConnectionId;
use crate::counters::Counters;

/// Single accepts in flight near the limit, per ring.
const SINGLE_ACCEPTS: u32 = 16;
/// Rings of one shard.
const RINGS_LIMIT: u32 = 64;
/// The part of a ring's table that the backlog may take: a quarter.
const SLACK_DIVISOR: u32 = 4;

/// The multishot accept.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Multi {
    Off,
    Armed,
    Cancelling,
}

/// A ring with its part of the shard's connections.
#[derive(Debug)]
struct Part {
    ring: Ring,
    multi: Multi,
    singles: u32,
    occupied: u32,
    capacity: u32,
}

#[derive(Debug)]
pub(crate) struct UringDriver {
    /// The first is waited on. Its doorbell is rung by the others.
    parts: Vec<Part>,
    /// Slots of one part in a connection's number.
    stride: u32,
    /// Room above which the multishot accept is used: the backlog, which it may take in one pass.
    plenty: u32,
    /// The doorbell was rung: the other rings may have work.
    rung: bool,
    /// The part whose completions are taken now.
    current: usize,
}

/// How a shard's connections are laid over rings.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Layout {
    rings: u32,
    /// Connections of a ring; the last may have fewer.
    capacity: u32,
    /// Descriptors of a ring beyond its connections.
    slack: u32,
    /// Connections of all rings.
    connections: u32,
}

impl Layout {
    fn new(config: &Config, limit: u32) -> Layout {
        let descriptors = config.ring_descriptors.min(limit).max(2);
        let slack = config.listen_backlog.min(descriptors / SLACK_DIVISOR);
        let capacity = (descriptors - slack).min(config.max_connections);
        let rings = config.max_connections.div_ceil(capacity).min(RINGS_LIMIT);
        Layout { rings, capacity, slack, connections: config.max_connections.min(rings * capacity) }
    }
}

impl UringDriver {
    /// Rings for the calling thread, and how many connections they can hold.
    pub(crate) fn new(config: &Config) -> Result<(UringDriver, ReceivePool, u32), SetupError> {
        let limit = rustix::process::getrlimit(rustix::process::Resource::Nofile).current.unwrap_or(u64::MAX);
        let layout = Layout::new(config, u32::try_from(limit).unwrap_or(u32::MAX));
        let (mut parts, mut pools) = (Vec::new(), Vec::new());
        let mut left = layout.connections;
        for _ in 0..layout.rings {
            let capacity = layout.capacity.min(left);
            left -= capacity;
            let (ring, pool) = Ring::new(&RingConfig {
                submission_entries: config.submission_entries,
                completion_entries: config.completion_entries,
                descriptors: capacity + layout.slack,
                buffers: config.receive_buffers,
                buffer_bytes: config.receive_buffer_bytes,
            })?;
            pools.push(pool);
            parts.push(Part { ring, multi: Multi::Off, singles: 0, occupied: 0, capacity });
        }
        let driver = UringDriver {
            parts,
            stride: layout.capacity + layout.slack,
            plenty: config.listen_backlog,
            rung: false,
            current: 0,
        };
        Ok((driver, ReceivePool::Rings(pools), layout.connections))
    }

    /// Takes over the sockets that belong to the shard.
    pub(crate) fn attach(&mut self, given: Parts<'_>) -> io::Result<()> {
        let (main, others) = self.parts.split_first_mut().expect("a shard has a ring");
        if let Some(listener) = given.listener {
            // A ring waits for a blocking socket and gives up on a non-blocking one.
            listener.set_nonblocking(false)?;
            for part in &mut *others {
                part.ring.listen(listener.try_clone()?.into());
            }
            main.ring.listen(listener.into());
        }
        for part in others {
            part.ring.ring_when_ready(&given.doorbell)?;
        }
        main.ring.watch_doorbell(given.doorbell);
        Ok(())
    }

    pub(crate) fn receive(&mut self, id: ConnectionId) {
        let (part, descriptor) = self.find(id);
        part.ring.receive(descriptor);
    }

    pub(crate) fn doze(&mut self, id: ConnectionId) {
        let (part, descriptor) = self.find(id);
        // Once it has ended, the watch takes its place: see `receive_ended`.
        part.ring.cancel_receive(descriptor);
    }

    pub(crate) fn send(&mut self, id: ConnectionId, buffer: Vec<u8>, offset: usize) {
        let (part, descriptor) = self.find(id);
        part.ring.send(descriptor, buffer, offset);
    }

    pub(crate) fn shutdown(&mut self, id: ConnectionId) {
        let (part, descriptor) = self.find(id);
        part.ring.shutdown(descriptor);
    }

    pub(crate) fn close(&mut self, id: ConnectionId) {
        let (part, descriptor) = self.find(id);
        part.ring.close(descriptor);
    }

    pub(crate) fn connect(&mut self, address: SocketAddr) -> io::Result<ConnectionId> {
        let index = self
            .parts
            .iter()
            .position(|part| part.occupied < part.capacity)
            .ok_or(rustix::io::Errno::NFILE)?;
        let part = &mut self.parts[index];
        let descriptor = part.ring.socket(&address)?;
        part.ring.connect(descriptor, &address);
        part.occupied += 1;
        Ok(self.connection(index, descriptor))
    }

    pub(crate) fn accept(&mut self, room: usize) {
        let room = u32::try_from(room).unwrap_or(u32::MAX);
        for part in &mut self.parts {
            part.accept(room.min(part.capacity.saturating_sub(part.occupied)), self.plenty);
        }
    }

    pub(crate) fn stop_listening(&mut self) {
        for part in &mut self.parts {
            part.ring.stop_listening();
        }
    }

    pub(crate) fn peer_address(&mut self, id: ConnectionId) -> Option<SocketAddr> {
        let (part, descriptor) = self.find(id);
        let file = part.ring.install(descriptor).ok()?;
        let address = socket2::SockRef::from(&file).peer_addr().ok()?;
        address.as_socket()
    }

    pub(crate) fn wait(&mut self, timeout: Option<Duration>, counters: &Counters) -> io::Result<()> {
        let (main, others) = self.parts.split_first_mut().expect("a shard has a ring");
        let mut timeout = timeout;
        for part in others {
            if part.ring.has_requests() {
                part.ring.wait(Some(Duration::ZERO))?;
            }
            if part.ring.has_completions() {
                timeout = Some(Duration::ZERO);
            }
        }
        main.ring.wait(timeout)?;
        self.current = 0;
        self.count(counters);
        Ok(())
    }

    fn count(&self, counters: &Counters) {
        let (mut enters, mut overflows, mut stale) = (0, 0, 0);
        for part in &self.parts {
            let statistics = part.ring.statistics();
            enters += statistics.enters;
            overflows += statistics.completion_overflows;
            stale += statistics.stale_completions;
        }
        counters.enters.set(enters);
        counters.completion_overflows.set(overflows);
        counters.stale_completions.set(stale);
    }

    /// # Errors
    /// A ring other than the first can't be entered.
    pub(crate) fn next_event(&mut self) -> io::Result<Option<Event>> {
        while let Some(part) = self.parts.get_mut(self.current) {
            if let Some(completion) = part.ring.next_completion() {
                if let Some(event) = self.translate(completion) {
                    return Ok(Some(event));
                }
                continue;
            }
            // The first ring has said whether the doorbell was rung; now the others' work.
            if self.current == 0 && std::mem::take(&mut self.rung) {
                for part in &mut self.parts[1..] {
                    part.ring.wait(Some(Duration::ZERO))?;
                }
            }
            self.current += 1;
        }
        Ok(None)
    }

    fn find(&mut self, id: ConnectionId) -> (&mut Part, Descriptor) {
        let part = &mut self.parts[(id.slot() / self.stride) as usize];
        let descriptor = Descriptor::new(id.slot() % self.stride, id.generation());
        (part, descriptor)
    }

    fn connection(&self, part: usize, descriptor: Descriptor) -> ConnectionId {
        ConnectionId::new(part as u32 * self.stride + descriptor.slot(), descriptor.generation())
    }

    fn translate(&mut self, completion: Completion) -> Option<Event> {
        let index = self.current;
        let part = &mut self.parts[index];
        match completion {
            Completion::Accepted { descriptor, kind, armed } => {
                match kind {
                    AcceptKind::Once => part.singles -= 1,
                    AcceptKind::Multi if !armed => part.multi = Multi::Off,
                    // Still accepting though cancelled: the cancel came while it was on its way.
                    AcceptKind::Multi => part.multi = Multi::Armed,
                }
                part.occupied += 1;
                Some(Event::Accepted(self.connection(index, descriptor)))
            }
            Completion::AcceptEnded { kind, errno } => {
                match kind {
                    AcceptKind::Once => part.singles -= 1,
                    AcceptKind::Multi => part.multi = Multi::Off,
                }
                (!is_of_one_connection(errno)).then_some(Event::AcceptFailed(errno))
            }
            Completion::Received { descriptor, lease, armed } => Some(Event::Received {
                id: self.connection(index, descriptor),
                lease: Lease::Ring(index, lease),
                more: armed,
            }),
            Completion::ReceiveEnded { descriptor, end } => {
                let end = part.receive_ended(descriptor, end)?;
                Some(Event::ReceiveEnded(self.connection(index, descriptor), end))
            }
            Completion::Sent { descriptor, buffer, offset, result } => {
                Some(Event::Sent { id: self.connection(index, descriptor), buffer, offset, result })
            }
            Completion::Connected { descriptor, result } => {
                Some(Event::Connected(self.connection(index, descriptor), result))
            }
            Completion::Closed(descriptor) => {
                part.occupied -= 1;
                Some(Event::Closed(self.connection(index, descriptor)))
            }
            Completion::Readable(descriptor) => {
                if part.ring.is_open(descriptor) {
                    part.ring.receive(descriptor);
                }
                None
            }
            Completion::Doorbell => {
                self.rung = true;
                None
            }
        }
    }
}

impl Part {
    fn accept(&mut self, room: u32, plenty: u32) {
        match self.multi {
            Multi::Off if room > plenty => {
                if self.ring.accept(AcceptKind::Multi) {
                    self.multi = Multi::Armed;
                }
            }
            Multi::Off => {
                let wanted = SINGLE_ACCEPTS.min(room);
                while self.singles < wanted && self.ring.accept(AcceptKind::Once) {
                    self.singles += 1;
                }
            }
            Multi::Armed if room <= plenty => {
                self.ring.cancel_accept_multi();
                self.multi = Multi::Cancelling;
            }
            Multi::Armed | Multi::Cancelling => {}
        }
    }

    fn receive_ended(&mut self, descriptor: Descriptor, end: RingEnd) -> Option<ReceiveEnd> {
        match end {
            RingEnd::Eof => Some(ReceiveEnd::Eof),
            RingEnd::NoBuffers => Some(ReceiveEnd::NoBuffers),
            RingEnd::Error(errno) => Some(ReceiveEnd::Error(errno)),
            RingEnd::Cancelled => {
                // By `doze`: watch instead. By our own close: what follows is `Closed`.
                if self.ring.is_open(descriptor) {
                    self.ring.watch_readable(descriptor);
                }
                None
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn layout(max_connections: u32, listen_backlog: u32, limit: u32) -> Layout {
        let config = Config { max_connections, listen_backlog, ..Config::default() };
        Layout::new(&config, limit)
    }

    #[test]
    fn rings_are_added_where_the_descriptor_limit_asks_for_them() {
        assert_eq!(layout(16_384, 1024, 20_000).rings, 1);
        let many = layout(100_000, 1024, 20_000);
        assert_eq!((many.rings, many.connections), (6, 100_000));
        assert!(many.capacity + many.slack <= 20_000);
        let one = layout(1_000_000, 4096, 4_000_000);
        assert_eq!((one.rings, one.connections), (1, 1_000_000));
    }

    #[test]
    fn the_number_of_rings_is_bounded_and_the_table_follows() {
        let tiny = layout(1_000_000, 1024, 1000);
        assert_eq!(tiny.rings, RINGS_LIMIT);
        assert_eq!(tiny.connections, RINGS_LIMIT * tiny.capacity);
        assert_eq!(layout(1, 1024, 20_000).connections, 1);
    }
}
