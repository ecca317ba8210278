//! What a handler can do: append to queues, close, set timers, connect.

use std::net::SocketAddr;
use std::sync::Arc;
use std::time::{Duration, Instant};

use crate::config::{BURST_FACTOR, Config};
use crate::connection::{CloseReason, ConnectionId};
use crate::counters::Counters;
use crate::driver::Driver;
use crate::handler::TimerKey;
use crate::send_buffers::SendBuffers;
use crate::table::{Phase, Table};
use crate::wheel::{TimerId, Wheel};

/// The resolution of timers: one fires at the first tick after its time, never early.
pub(crate) const TICK: Duration = Duration::from_millis(50);

/// What the timer wheel carries.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Due {
    Handler(TimerKey),
    /// A closing connection has had its time.
    Linger(ConnectionId),
    /// Accepting failed a while ago: try again.
    Accept,
    /// Look for connections that are long idle.
    Sweep,
    Stalls,
    /// A queue has stood above its limit for as long as it may.
    Patience(ConnectionId),
}

/// A shard's connections, queues and timers, as its handler sees them. A stale
/// [`ConnectionId`] is ignored by every method.
#[derive(Debug)]
pub struct Io {
    pub(crate) driver: Driver,
    pub(crate) table: Table,
    pub(crate) wheel: Wheel<Due>,
    pub(crate) send_buffers: SendBuffers,
    /// Connections with appended bytes, each once.
    pub(crate) dirty: Vec<ConnectionId>,
    /// Connections of whose end the handler is still to be told.
    pub(crate) doomed: Vec<ConnectionId>,
    pub(crate) counters: Arc<Counters>,
    pub(crate) started: Instant,
    pub(crate) now: Instant,
    pub(crate) linger: Duration,
    pub(crate) max_connections: usize,
    /// A queue of more bytes takes no append.
    pub(crate) burst_limit: usize,
    /// The handler is told of an overflow, and may have its last words.
    pub(crate) overflowing: bool,
    pub(crate) accepting: bool,
    pub(crate) stopping: bool,
    pub(crate) tls: Option<Arc<rustls::ServerConfig>>,
}

impl Io {
    pub(crate) fn new(driver: Driver, config: &Config, counters: Arc<Counters>) -> Io {
        let now = clock();
        Io {
            driver,
            table: Table::default(),
            wheel: Wheel::new(),
            send_buffers: SendBuffers::default(),
            dirty: Vec::new(),
            doomed: Vec::new(),
            counters,
            started: now,
            now,
            linger: Duration::from_millis(config.linger_ms.into()),
            max_connections: config.max_connections as usize,
            burst_limit: config.send_queue_limit_bytes * BURST_FACTOR,
            overflowing: false,
            accepting: config.listen.is_some(),
            stopping: false,
            tls: config.tls.clone(),
        }
    }

    /// The time at which this turn began: monotonic, read once per turn.
    #[must_use]
    pub fn now(&self) -> Instant {
        self.now
    }

    /// The bytes that wait to be sent to `connection`: append whole frames. They leave at the end
    /// of the turn, all in one send, or when the send before them is done.
    ///
    /// The vector holds only what the kernel has not been given; [`Handler::overflowed`] says
    /// what clearing it means. `None`: the connection is closing or gone, or it will be told so at the
    /// end of this turn, as its queue holds more than it may.
    ///
    /// [`Handler::overflowed`]: crate::Handler::overflowed
    pub fn queue(&mut self, connection: ConnectionId) -> Option<&mut Vec<u8>> {
        let entry = self.table.find(connection)?;
        let is_full = entry.pending.len() + entry.in_flight > self.burst_limit && !self.overflowing;
        if entry.phase != Phase::Open || is_full {
            return None;
        }
        if !entry.dirty {
            entry.dirty = true;
            self.dirty.push(connection);
            if entry.pending.capacity() == 0 {
                entry.pending = self.send_buffers.take();
            }
        }
        Some(&mut entry.pending)
    }

    /// Bytes appended and not yet taken by the kernel, those in flight included. 0 for a stale id.
    #[must_use]
    pub fn queued_bytes(&self, connection: ConnectionId) -> usize {
        self.table.peek(connection).map_or(0, |entry| entry.pending.len() + entry.in_flight)
    }

    /// True while the handler can write to `connection`.
    #[must_use]
    pub fn is_open(&self, connection: ConnectionId) -> bool {
        self.table.peek(connection).is_some_and(|entry| entry.phase == Phase::Open)
    }

    /// Sends what is queued, then closes; closes after `linger_ms` whatever is left. Nothing more
    /// is received. [`crate::Handler::closed`] follows, at the earliest after the current call.
    pub fn close_after_flush(&mut self, connection: ConnectionId) {
        self.drain(connection, CloseReason::Requested, false);
    }

    /// As [`Io::close_after_flush`], but then only our side of the stream ends, and the connection
    /// closes when the peer ends its own, at the latest after `linger_ms`. For an answer to a peer
    /// that may still be sending (a refused request with a body): a plain close would reset the
    /// connection, which can destroy the answer on its way. The kernel does this on a worker
    /// thread: not for thousands of connections at once.
    pub fn close_after_answer(&mut self, connection: ConnectionId) {
        self.drain(connection, CloseReason::Requested, true);
    }

    /// Closes and drops what is queued. [`crate::Handler::closed`] follows after the current call.
    pub fn close_now(&mut self, connection: ConnectionId) {
        self.doom(connection, CloseReason::Requested);
    }

    /// Calls [`crate::Handler::timer`] with `key` once `after` has passed, up to 50 ms late, never
    /// early.
    pub fn set_timer(&mut self, after: Duration, key: TimerKey) -> TimerId {
        self.set_due(after, Due::Handler(key))
    }

    /// Cancels a timer; one that fired or was cancelled is ignored.
    pub fn cancel_timer(&mut self, timer: TimerId) {
        self.wheel.cancel(timer);
    }

    /// The peer's address, asked from the kernel each time (three system calls on io_uring):
    /// for a log line or a check at the handshake, not for each message.
    pub fn peer_address(&mut self, connection: ConnectionId) -> Option<SocketAddr> {
        let entry = self.table.peek(connection)?;
        if matches!(entry.phase, Phase::Closing | Phase::Connecting) {
            return None;
        }
        self.driver.peer_address(connection)
    }

    /// Begins a connection of our own. [`crate::Handler::opened`] follows, or
    /// [`crate::Handler::closed`] with [`CloseReason::ConnectFailed`].
    ///
    /// # Errors
    /// The table is full or there is no descriptor left.
    pub fn connect(&mut self, address: SocketAddr) -> std::io::Result<ConnectionId> {
        if self.table.occupied() >= self.max_connections {
            return Err(rustix::io::Errno::NFILE.into());
        }
        let id = self.driver.connect(address)?;
        self.table.occupy(id, Phase::Connecting);
        Ok(id)
    }

    /// Connections open now, those that are closing included until the handler was told.
    #[must_use]
    pub fn connections(&self) -> usize {
        self.counters.connections.value() as usize
    }

    /// Closes the listening socket: connections that wait to be accepted are reset, the others
    /// live on.
    pub fn stop_accepting(&mut self) {
        if self.accepting {
            self.accepting = false;
            self.driver.stop_listening();
        }
    }

    /// Ends the loop after this turn. Connections that are still open are told
    /// [`CloseReason::Stopping`].
    pub fn stop(&mut self) {
        self.stopping = true;
    }

    /// What this shard counts.
    #[must_use]
    pub fn counters(&self) -> &Counters {
        &self.counters
    }

    /// Ticks from the start to this turn.
    pub(crate) fn tick(&self) -> u64 {
        (self.now.duration_since(self.started).as_nanos() / TICK.as_nanos()) as u64
    }

    pub(crate) fn set_due(&mut self, after: Duration, due: Due) -> TimerId {
        let deadline = self.now.duration_since(self.started).saturating_add(after);
        let tick = deadline.as_nanos().div_ceil(TICK.as_nanos());
        self.wheel.set(u64::try_from(tick).unwrap_or(u64::MAX), due)
    }

    /// How long the loop may wait for the kernel.
    pub(crate) fn until_next_timer(&self, now: Instant) -> Option<Duration> {
        let tick = u32::try_from(self.wheel.next_tick()?).unwrap_or(u32::MAX);
        Some((self.started + TICK * tick).saturating_duration_since(now))
    }

    /// From now on only what is queued is sent; closes when that is done.
    pub(crate) fn drain(&mut self, id: ConnectionId, reason: CloseReason, finish: bool) {
        let Some(entry) = self.table.find(id) else {
            return;
        };
        if entry.phase == Phase::Connecting {
            return self.doom(id, reason);
        }
        if entry.phase != Phase::Open {
            return;
        }
        entry.phase = Phase::Draining;
        entry.reason = reason;
        entry.finish = finish;
        // TLS has its own last word.
        let empty = entry.pending.is_empty() && entry.in_flight == 0 && entry.tls.is_none();
        if entry.tls.is_some() && !entry.dirty {
            entry.dirty = true;
            self.dirty.push(id);
        }
        if finish || !empty {
            self.set_due(self.linger, Due::Linger(id));
        }
        if empty {
            self.drained(id);
        }
    }

    /// All is sent of a connection that is draining.
    pub(crate) fn drained(&mut self, id: ConnectionId) {
        let Some(entry) = self.table.find(id) else {
            return;
        };
        if entry.finish {
            entry.phase = Phase::Finishing;
            self.driver.shutdown(id);
        } else {
            let reason = entry.reason;
            self.doom(id, reason);
        }
    }

    /// The peer ended its side.
    pub(crate) fn peer_ended(&mut self, id: ConnectionId) {
        let Some(entry) = self.table.find(id) else {
            return;
        };
        match entry.phase {
            Phase::Open => self.drain(id, CloseReason::PeerClosed, false),
            // Nothing to wait for once all is sent.
            Phase::Draining => entry.finish = false,
            Phase::Finishing => {
                let reason = entry.reason;
                self.doom(id, reason);
            }
            Phase::Vacant | Phase::Connecting | Phase::Doomed | Phase::Closing => {}
        }
    }

    /// Ends a connection; the handler is told when the current call is over.
    pub(crate) fn doom(&mut self, id: ConnectionId, reason: CloseReason) {
        let Some(entry) = self.table.find(id) else {
            return;
        };
        if matches!(entry.phase, Phase::Doomed | Phase::Closing) {
            return;
        }
        entry.phase = Phase::Doomed;
        entry.reason = reason;
        self.doomed.push(id);
    }
}

/// The one place at which a shard reads the clock.
#[expect(clippy::disallowed_methods, reason = "this is the place")]
pub(crate) fn clock() -> Instant {
    Instant::now()
}
