//! The poll backend: epoll through mio, dressed as completions.
//!
//! Readiness is edge-triggered. A socket that is readable stands on a list until a read says that
//! it is drained; each turn reads at most [`READS_PER_TURN`] times from one socket, so that a busy
//! one does not starve the others. Reads happen in `next_event`, into one buffer for the shard.

use std::collections::VecDeque;
use std::io::{self, ErrorKind, Read, Write};
use std::net::SocketAddr;
use std::os::fd::{AsFd, AsRawFd, OwnedFd};
use std::sync::Arc;
use std::time::Duration;

use mio::net::{TcpListener, TcpStream};
use mio::unix::SourceFd;
use mio::{Events, Interest, Poll, Token};

use super::{Event, Lease, Parts, ReceiveEnd, ReceivePool, is_of_one_connection};
use crate::connection::ConnectionId;
use crate::counters::Counters;

/// Bytes of the one receive buffer.
const SCRATCH_BYTES: usize = 64 * 1024;
/// Reads from one socket in one turn.
const READS_PER_TURN: u8 = 2;
/// Connections accepted in one turn.
const ACCEPTS_PER_TURN: usize = 256;
/// Events taken from the kernel in one turn.
const EVENTS_PER_TURN: usize = 1024;
/// Tokens of what is no connection; a connection's generation is never zero.
const LISTENER: Token = Token(0);
const DOORBELL: Token = Token(1);

/// A send that the kernel could not take.
#[derive(Debug)]
struct Blocked {
    buffer: Vec<u8>,
    offset: usize,
}

#[derive(Debug, Default)]
struct Slot {
    stream: Option<TcpStream>,
    generation: u32,
    blocked: Option<Box<Blocked>>,
    /// On one of the readable lists.
    listed: bool,
    /// The peer closed its side: a short read does not mean drained.
    read_closed: bool,
    connecting: bool,
    reads: u8,
}

#[derive(Debug)]
pub(crate) struct PollDriver {
    poll: Poll,
    events: Events,
    slots: Vec<Slot>,
    free: Vec<u32>,
    /// Events that did not come from a read.
    ready: VecDeque<Event>,
    readable: VecDeque<ConnectionId>,
    /// Readable, but its share of this turn is used up.
    readable_next_turn: VecDeque<ConnectionId>,
    listener: Option<TcpListener>,
    listener_ready: bool,
    room: usize,
    accepts_left: usize,
    doorbell: Arc<OwnedFd>,
    /// Accepts and connects refuse when the table has this many slots.
    slots_limit: usize,
}

impl PollDriver {
    pub(crate) fn new(parts: Parts<'_>) -> io::Result<(PollDriver, ReceivePool)> {
        let poll = Poll::new()?;
        poll.registry().register(&mut SourceFd(&parts.doorbell.as_raw_fd()), DOORBELL, Interest::READABLE)?;
        let listener = match parts.listener {
            None => None,
            Some(listener) => {
                listener.set_nonblocking(true)?;
                let mut listener = TcpListener::from_std(listener);
                poll.registry().register(&mut listener, LISTENER, Interest::READABLE)?;
                Some(listener)
            }
        };
        let driver = PollDriver {
            poll,
            events: Events::with_capacity(EVENTS_PER_TURN),
            slots: Vec::new(),
            free: Vec::new(),
            ready: VecDeque::new(),
            readable: VecDeque::new(),
            readable_next_turn: VecDeque::new(),
            listener_ready: listener.is_some(),
            listener,
            room: 0,
            accepts_left: 0,
            doorbell: parts.doorbell,
            slots_limit: parts.config.max_connections as usize,
        };
        let scratch = vec![0; SCRATCH_BYTES].into_boxed_slice();
        Ok((driver, ReceivePool::Scratch(scratch)))
    }

    /// Readiness needs no arming: the registration lasts as long as the socket.
    pub(crate) fn receive(&mut self, _id: ConnectionId) {}

    pub(crate) fn send(&mut self, id: ConnectionId, buffer: Vec<u8>, offset: usize) {
        let Some(slot) = self.slot(id) else { return };
        debug_assert!(slot.blocked.is_none(), "one send at a time");
        slot.blocked = Some(Box::new(Blocked { buffer, offset }));
        self.unblock(id);
    }

    /// Tries a send that waits; edge-triggered, so a refusal means that an event will come.
    fn unblock(&mut self, id: ConnectionId) {
        let Some(slot) = self.slot(id) else { return };
        let (Some(stream), Some(blocked)) = (&mut slot.stream, slot.blocked.take()) else {
            return;
        };
        let result = loop {
            match stream.write(&blocked.buffer[blocked.offset..]) {
                Err(error) if error.kind() == ErrorKind::Interrupted => {}
                Err(error) if error.kind() == ErrorKind::WouldBlock => {
                    slot.blocked = Some(blocked);
                    return;
                }
                result => break result.map_err(|error| errno_of(&error)),
            }
        };
        let Blocked { buffer, offset } = *blocked;
        self.ready.push_back(Event::Sent { id, buffer, offset, result });
    }

    pub(crate) fn shutdown(&mut self, id: ConnectionId) {
        if let Some(stream) = self.slot(id).and_then(|slot| slot.stream.as_ref()) {
            // The peer may be gone already; the receive says so.
            let _ = stream.shutdown(std::net::Shutdown::Write);
        }
    }

    pub(crate) fn close(&mut self, id: ConnectionId) {
        let Some(slot) = self.slot(id) else { return };
        // Dropping the stream closes it, which takes it out of the epoll set.
        slot.stream = None;
        if let Some(blocked) = slot.blocked.take() {
            let Blocked { buffer, offset } = *blocked;
            self.ready.push_back(Event::Sent {
                id,
                buffer,
                offset,
                result: Err(rustix::io::Errno::CANCELED.raw_os_error()),
            });
        }
        self.ready.push_back(Event::Closed(id));
    }

    pub(crate) fn connect(&mut self, address: SocketAddr) -> io::Result<ConnectionId> {
        let stream = TcpStream::connect(address)?;
        // Frames leave when they are sent, as on accepted sockets.
        stream.set_nodelay(true)?;
        self.occupy(stream, true)
    }

    pub(crate) fn accept(&mut self, room: usize) {
        self.room = room;
    }

    pub(crate) fn stop_listening(&mut self) {
        self.listener = None;
        self.listener_ready = false;
    }

    pub(crate) fn peer_address(&mut self, id: ConnectionId) -> Option<SocketAddr> {
        self.slot(id)?.stream.as_ref()?.peer_addr().ok()
    }

    pub(crate) fn wait(&mut self, timeout: Option<Duration>, counters: &Counters) -> io::Result<()> {
        debug_assert!(self.readable.is_empty(), "a turn takes all events");
        std::mem::swap(&mut self.readable, &mut self.readable_next_turn);
        self.accepts_left = ACCEPTS_PER_TURN.min(self.room);
        let work_left = !self.ready.is_empty()
            || !self.readable.is_empty()
            || (self.listener_ready && self.accepts_left > 0);
        let timeout = if work_left { Some(Duration::ZERO) } else { timeout };
        counters.enters.add(1);
        match self.poll.poll(&mut self.events, timeout) {
            Err(error) if error.kind() == ErrorKind::Interrupted => self.events.clear(),
            result => result?,
        }
        for slot in &self.readable {
            self.slots[slot.slot() as usize].reads = 0;
        }
        let events = std::mem::replace(&mut self.events, Events::with_capacity(0));
        for event in &events {
            match event.token() {
                LISTENER => self.listener_ready = true,
                DOORBELL => self.silence_doorbell(),
                token => self.socket_ready(ConnectionId::from_u64(token.0 as u64), event),
            }
        }
        self.events = events;
        Ok(())
    }

    fn silence_doorbell(&mut self) {
        // Readable and read by this thread alone, so this does not block.
        let mut count = [0; 8];
        let read = rustix::io::read(self.doorbell.as_fd(), &mut count);
        debug_assert!(read.is_ok(), "reading an eventfd failed: {read:?}");
    }

    fn socket_ready(&mut self, id: ConnectionId, event: &mio::event::Event) {
        let Some(slot) = self.slot(id) else { return };
        if slot.connecting {
            if event.is_writable() || event.is_error() {
                self.finish_connect(id);
            }
            // What else the event says stays true until the first read, so nothing is lost.
            return;
        }
        if event.is_read_closed() || event.is_error() {
            slot.read_closed = true;
        }
        if (event.is_readable() || event.is_read_closed() || event.is_error()) && !slot.listed {
            slot.listed = true;
            slot.reads = 0;
            self.readable.push_back(id);
        }
        if event.is_writable() || event.is_error() {
            self.unblock(id);
        }
    }

    fn finish_connect(&mut self, id: ConnectionId) {
        let Some(slot) = self.slot(id) else { return };
        let Some(stream) = &slot.stream else { return };
        let result = match stream.take_error() {
            Ok(Some(error)) | Err(error) => Err(errno_of(&error)),
            Ok(None) => match stream.peer_addr() {
                // A wake before the handshake is over: another will come.
                Err(error) if error.kind() == ErrorKind::NotConnected => return,
                Err(error) => Err(errno_of(&error)),
                Ok(_) => Ok(()),
            },
        };
        slot.connecting = false;
        // Data may have come in the same event, and then no other event follows.
        slot.listed = true;
        slot.reads = 0;
        slot.read_closed = true;
        self.readable.push_back(id);
        self.ready.push_back(Event::Connected(id, result));
    }

    pub(crate) fn next_event(&mut self, pool: &mut ReceivePool) -> Option<Event> {
        if let Some(event) = self.ready.pop_front() {
            if let Event::Closed(id) = event {
                self.vacate(id);
            }
            return Some(event);
        }
        self.next_accept().or_else(|| self.next_read(pool))
    }

    fn next_accept(&mut self) -> Option<Event> {
        while self.listener_ready && self.accepts_left > 0 {
            match self.listener.as_ref()?.accept() {
                Ok((stream, _)) => {
                    self.accepts_left -= 1;
                    match self.occupy(stream, false) {
                        Ok(id) => return Some(Event::Accepted(id)),
                        Err(error) => return Some(Event::AcceptFailed(errno_of(&error))),
                    }
                }
                Err(error) if error.kind() == ErrorKind::WouldBlock => self.listener_ready = false,
                // The next one may be there.
                Err(error) if is_of_one_connection(errno_of(&error)) => {}
                Err(error) => {
                    self.accepts_left = 0;
                    return Some(Event::AcceptFailed(errno_of(&error)));
                }
            }
        }
        None
    }

    fn next_read(&mut self, pool: &mut ReceivePool) -> Option<Event> {
        let ReceivePool::Scratch(scratch) = pool else {
            return None;
        };
        while let Some(id) = self.readable.pop_front() {
            let Some(slot) = self.slot(id) else { continue };
            let Some(stream) = &mut slot.stream else {
                continue;
            };
            match stream.read(scratch) {
                Ok(0) => {
                    slot.listed = false;
                    return Some(Event::ReceiveEnded(id, ReceiveEnd::Eof));
                }
                Ok(len) => {
                    slot.reads += 1;
                    if len < scratch.len() && !slot.read_closed {
                        slot.listed = false;
                    } else if slot.reads < READS_PER_TURN {
                        self.readable.push_front(id);
                    } else {
                        self.readable_next_turn.push_back(id);
                    }
                    let lease = Lease::Scratch(len);
                    return Some(Event::Received { id, lease, more: true });
                }
                Err(error) => match error.kind() {
                    ErrorKind::WouldBlock => {
                        slot.listed = false;
                        slot.read_closed = false;
                    }
                    ErrorKind::Interrupted => self.readable.push_front(id),
                    _ => {
                        slot.listed = false;
                        let end = ReceiveEnd::Error(errno_of(&error));
                        return Some(Event::ReceiveEnded(id, end));
                    }
                },
            }
        }
        None
    }

    /// The slot of a connection that is not closed.
    fn slot(&mut self, id: ConnectionId) -> Option<&mut Slot> {
        self.slots
            .get_mut(id.slot() as usize)
            .filter(|slot| slot.generation == id.generation() && slot.stream.is_some())
    }

    fn occupy(&mut self, mut stream: TcpStream, connecting: bool) -> io::Result<ConnectionId> {
        if self.free.is_empty() {
            if self.slots.len() >= self.slots_limit {
                return Err(io::Error::from_raw_os_error(rustix::io::Errno::NFILE.raw_os_error()));
            }
            self.free.push(self.slots.len() as u32);
            self.slots.push(Slot::default());
        }
        let index = self.free[self.free.len() - 1];
        let slot = &mut self.slots[index as usize];
        let generation = slot.generation.wrapping_add(1).max(1);
        let id = ConnectionId::new(index, generation);
        self.poll.registry().register(
            &mut stream,
            Token(id.to_u64() as usize),
            Interest::READABLE | Interest::WRITABLE,
        )?;
        self.free.pop();
        *slot = Slot { stream: Some(stream), generation, connecting, ..Slot::default() };
        Ok(id)
    }

    fn vacate(&mut self, id: ConnectionId) {
        self.free.push(id.slot());
    }
}

const _: () = assert!(usize::BITS >= u64::BITS, "an epoll token holds a connection's id");
const _: () = assert!(size_of::<Slot>() <= 32);

fn errno_of(error: &io::Error) -> i32 {
    error.raw_os_error().unwrap_or(rustix::io::Errno::IO.raw_os_error())
}
