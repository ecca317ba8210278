//! What the property tests share: each test function runs over both backends.

#![allow(dead_code)] // Each test file uses its part.

use std::collections::BTreeMap;
use std::io::{Read, Write};
use std::net::{Ipv4Addr, SocketAddr, TcpStream};
use std::sync::mpsc::{Receiver, Sender, channel};
use std::time::Duration;

use ringside_reactor::{
    Backend, CloseReason, Config, ConnectionId, Handler, Io, ShardHandle, TimerKey, spawn,
};
use seccompiler::{BpfProgram, SeccompAction, SeccompFilter, TargetArch};

/// Makes one test per backend out of `fn name(backend: Backend)`.
#[macro_export]
macro_rules! over_both_backends {
    ($($name:ident),* $(,)?) => {
        mod uring {
            $(#[test] fn $name() { super::$name(ringside_reactor::Backend::Uring); })*
        }
        mod poll {
            $(#[test] fn $name() { super::$name(ringside_reactor::Backend::Poll); })*
        }
    };
}

const IO_URING_SETUP: i64 = 425;

/// From here on this thread, and those that it starts, get `errno` from io_uring_setup.
pub fn forbid_io_uring(errno: rustix::io::Errno) {
    let arch: TargetArch = std::env::consts::ARCH.try_into().expect("a known machine");
    let filter = SeccompFilter::new(
        BTreeMap::from([(IO_URING_SETUP, Vec::new())]),
        SeccompAction::Allow,
        SeccompAction::Errno(errno.raw_os_error() as u32),
        arch,
    )
    .expect("a filter");
    let program: BpfProgram = filter.try_into().expect("a program");
    seccompiler::apply_filter(&program).expect("the kernel filters system calls");
}

/// Longer than anything here takes: a test that waits this long has failed.
pub const PATIENCE: Duration = Duration::from_secs(10);

pub const ANY_PORT: SocketAddr = SocketAddr::new(std::net::IpAddr::V4(Ipv4Addr::LOCALHOST), 0);

pub fn config(backend: Backend) -> Config {
    Config {
        backend,
        listen: Some(ANY_PORT),
        max_connections: 2048,
        receive_buffers: 64,
        ..Config::default()
    }
}

/// What the echo handler saw.
#[derive(Debug, PartialEq, Eq, Clone, Copy)]
pub enum Seen {
    Opened(ConnectionId),
    Received(ConnectionId, usize),
    Closed(ConnectionId, CloseReason),
    Timer(u64),
    Mail(u64),
    Overflowed(ConnectionId),
}

/// What the tests tell the echo handler.
#[derive(Debug)]
pub enum Order {
    Note(u64),
    /// Append this many bytes.
    Push(ConnectionId, usize),
    /// Append so many bytes so often, in one turn; how often they were taken is seen as a note.
    Burst(ConnectionId, usize, u64),
    CloseNow(ConnectionId),
    CloseAfterFlush(ConnectionId),
    CloseAfterAnswer(ConnectionId),
    CloseAll,
    Connect(SocketAddr),
    Timer(Duration, u64),
    StopAccepting,
    Stop,
    Address(ConnectionId, Sender<Option<SocketAddr>>),
}

/// Echoes what it receives and tells what it saw.
pub struct Echo {
    pub seen: Sender<Seen>,
    pub echo: bool,
    /// Says goodbye to a peer that does not read.
    pub goodbye: bool,
    pub open: Vec<ConnectionId>,
}

impl Echo {
    fn tell(&self, seen: Seen) {
        let _ = self.seen.send(seen);
    }
}

impl Handler for Echo {
    type Mail = Order;

    fn opened(&mut self, _io: &mut Io, connection: ConnectionId) {
        self.open.push(connection);
        self.tell(Seen::Opened(connection));
    }

    fn received(&mut self, io: &mut Io, connection: ConnectionId, data: &mut [u8]) {
        self.tell(Seen::Received(connection, data.len()));
        if self.echo
            && let Some(queue) = io.queue(connection)
        {
            queue.extend_from_slice(data);
        }
    }

    fn closed(&mut self, _io: &mut Io, connection: ConnectionId, reason: CloseReason) {
        self.open.retain(|&id| id != connection);
        self.tell(Seen::Closed(connection, reason));
    }

    fn timer(&mut self, _io: &mut Io, timer: TimerKey) {
        self.tell(Seen::Timer(timer));
    }

    fn mail(&mut self, io: &mut Io, mail: Order) {
        match mail {
            Order::Note(note) => self.tell(Seen::Mail(note)),
            Order::Push(id, len) => {
                if let Some(queue) = io.queue(id) {
                    queue.resize(queue.len() + len, b'x');
                }
            }
            Order::Burst(id, len, times) => {
                let taken =
                    (0..times).map_while(|_| io.queue(id).map(|queue| queue.resize(queue.len() + len, b'x')));
                self.tell(Seen::Mail(taken.count() as u64));
            }
            Order::CloseNow(id) => io.close_now(id),
            Order::CloseAfterFlush(id) => io.close_after_flush(id),
            Order::CloseAfterAnswer(id) => io.close_after_answer(id),
            Order::CloseAll => self.open.iter().for_each(|&id| io.close_now(id)),
            Order::Connect(address) => {
                io.connect(address).expect("room");
            }
            Order::Timer(after, key) => {
                io.set_timer(after, key);
            }
            Order::StopAccepting => io.stop_accepting(),
            Order::Stop => io.stop(),
            Order::Address(id, answer) => {
                let _ = answer.send(io.peer_address(id));
            }
        }
    }

    fn overflowed(&mut self, io: &mut Io, connection: ConnectionId) {
        self.tell(Seen::Overflowed(connection));
        if self.goodbye {
            let queue = io.queue(connection).expect("it is open");
            queue.clear();
            queue.extend_from_slice(GOODBYE);
            io.close_after_flush(connection);
        }
    }
}

/// The last words to a peer that does not read.
pub const GOODBYE: &[u8] = b"goodbye";

/// A shard with the echo handler.
pub struct Rig {
    pub shard: ShardHandle<Order>,
    pub seen: Receiver<Seen>,
}

impl Rig {
    pub fn new(config: &Config) -> Rig {
        Rig::with(config, true)
    }

    /// `echo`: whether what comes is sent back.
    pub fn with(config: &Config, echo: bool) -> Rig {
        let (sender, seen) = channel();
        Rig::of(config, Echo { seen: sender, echo, goodbye: false, open: Vec::new() }, seen)
    }

    pub fn of(config: &Config, echo: Echo, seen: Receiver<Seen>) -> Rig {
        let shard = spawn(config, None, move |_| echo).expect("the shard starts");
        Rig { shard, seen }
    }

    pub fn address(&self) -> SocketAddr {
        self.shard.address().expect("it listens")
    }

    pub fn connect(&self) -> TcpStream {
        let stream = TcpStream::connect(self.address()).expect("it accepts");
        stream.set_read_timeout(Some(PATIENCE)).expect("a socket");
        stream.set_write_timeout(Some(PATIENCE)).expect("a socket");
        stream
    }

    /// A connection and its id.
    pub fn connect_seen(&self) -> (TcpStream, ConnectionId) {
        let stream = self.connect();
        (stream, self.opened())
    }

    pub fn opened(&self) -> ConnectionId {
        self.wait_for(|seen| match seen {
            Seen::Opened(id) => Some(id),
            _ => None,
        })
    }

    pub fn closed(&self) -> (ConnectionId, CloseReason) {
        self.wait_for(|seen| match seen {
            Seen::Closed(id, reason) => Some((id, reason)),
            _ => None,
        })
    }

    /// The end of a connection, if it is seen within this time.
    pub fn try_closed(&self, within: Duration) -> Option<(ConnectionId, CloseReason)> {
        match self.seen.recv_timeout(within) {
            Ok(Seen::Closed(id, reason)) => Some((id, reason)),
            _ => None,
        }
    }

    /// The first thing seen that `pick` wants; others before it are dropped.
    pub fn wait_for<T>(&self, pick: impl Fn(Seen) -> Option<T>) -> T {
        loop {
            let seen = self.seen.recv_timeout(PATIENCE).expect("it happens in time");
            if let Some(found) = pick(seen) {
                return found;
            }
        }
    }

    pub fn order(&self, order: Order) {
        self.shard.mailbox().try_send(order).expect("room for mail");
    }

    /// Waits until everything ordered before was done.
    pub fn settle(&self) {
        self.order(Order::Note(u64::MAX));
        self.wait_for(|seen| (seen == Seen::Mail(u64::MAX)).then_some(()));
    }
}

pub fn echo_once(stream: &mut TcpStream, bytes: &[u8]) {
    stream.write_all(bytes).expect("it takes the bytes");
    let mut answer = vec![0; bytes.len()];
    stream.read_exact(&mut answer).expect("it echoes");
    assert!(answer == bytes, "the echo differs");
}

/// Reads until the end; panics if there is none in time.
pub fn read_to_end(stream: &mut TcpStream) -> Vec<u8> {
    let mut bytes = Vec::new();
    stream.read_to_end(&mut bytes).expect("it ends");
    bytes
}
