//! A shard's gateway: what the reactor tells, and what the node mails.

mod handshakes;
mod host;
mod outputs;

use std::sync::Arc;
use std::time::Instant;

use ringside_edge_protocol::{ShardId, ToShard};
use ringside_reactor::{ConnectionId, TimerKey};
use ringside_session::context::{Counts, Settings};
use ringside_session::output::Outputs;
use ringside_session::session::Session;
use ringside_session::token::Verifier;
use ringside_types::{Epoch, Slot, UnixMillis};

use crate::config::{Config, FREE_CONNECTIONS, RETRY, SPARE_CONNECTIONS};
use crate::counters::{Counters, add, set};
use crate::index::Index;
use crate::outgoing::{HandOver, Outgoing};
use crate::sockets::Sockets;
use crate::table::Table;
use handshakes::PendingHandshakes;

/// The timer that hands requests over again. No connection's number is 0.
const RETRY_TIMER: TimerKey = 0;

/// What a gateway takes in.
#[derive(Debug)]
pub enum Input<'a> {
    /// A connection was accepted.
    Opened(ConnectionId),
    /// Bytes came, which may be changed in place.
    Bytes(ConnectionId, &'a mut [u8]),
    /// A connection is gone.
    Closed(ConnectionId),
    /// A timer ran out.
    Timer(TimerKey),
    /// The node said something.
    Mail(ToShard),
    /// The queue of a connection has stood above its limit for too long.
    Overflowed(ConnectionId),
    /// All inputs of this turn were taken; what is queued is sent after it.
    TurnEnded,
}

/// One shard's gateway.
#[derive(Debug)]
pub struct Gateway {
    config: Arc<Config>,
    settings: Settings,
    shard: ShardId,
    pub(crate) verifier: Arc<Verifier>,
    pub(crate) counters: Arc<Counters>,
    /// What sessions count, published at the end of a turn.
    counts: Counts,
    pub(crate) outgoing: Outgoing,
    pub(crate) table: Table,
    pending_handshakes: PendingHandshakes,
    pub(crate) index: Index,
    pub(crate) lease: Option<(Slot, Epoch)>,
    pub(crate) is_draining: bool,
    outputs: Outputs,
    /// Connections that read on once they have taken what is queued for them.
    stalled: Vec<ConnectionId>,
    /// The JSON of a frame, before its header is known.
    pub(crate) scratch: Vec<u8>,
    /// A frame for many connections.
    pub(crate) encoded: Vec<u8>,
    discarded: Vec<u8>,
    time: UnixMillis,
    time_read_at: Option<Instant>,
    is_retrying: bool,
}

impl Gateway {
    /// The gateway of one shard. `time` is the wall clock now; the node corrects it from then on.
    pub fn new(
        config: Arc<Config>,
        shard: ShardId,
        verifier: Arc<Verifier>,
        counters: Arc<Counters>,
        hand_over: HandOver,
        time: UnixMillis,
    ) -> Self {
        Self {
            settings: config.session_settings(),
            config,
            shard,
            verifier,
            counters,
            counts: Counts::default(),
            outgoing: Outgoing::new(hand_over),
            table: Table::default(),
            pending_handshakes: PendingHandshakes::default(),
            index: Index::default(),
            lease: None,
            is_draining: false,
            outputs: Outputs::default(),
            stalled: Vec::new(),
            scratch: Vec::new(),
            encoded: Vec::new(),
            discarded: Vec::new(),
            time,
            time_read_at: None,
            is_retrying: false,
        }
    }

    /// The time of day in this turn.
    pub(crate) fn time(&mut self, io: &impl Sockets) -> UnixMillis {
        let read_at = *self.time_read_at.get_or_insert(io.now());
        self.time.plus_ms(io.now().saturating_duration_since(read_at).as_millis() as u64)
    }

    /// Sessions that waited for a turn read on.
    fn read_on(&mut self, io: &mut impl Sockets) {
        for connection in std::mem::take(&mut self.stalled) {
            self.call(io, connection, Session::handle_stalled);
        }
    }

    /// Takes what has happened, and does what follows from it: queues bytes, sets timers, gathers requests to the node.
    pub fn handle(&mut self, io: &mut impl Sockets, input: Input<'_>) {
        match input {
            Input::Opened(connection) => self.handle_opened(io, connection),
            Input::Bytes(connection, data) => self.handle_bytes(io, connection, data),
            Input::Closed(connection) => self.handle_closed(io, connection),
            Input::Timer(timer) => self.handle_timer(io, timer),
            Input::Mail(mail) => self.handle_mail(io, mail),
            Input::Overflowed(connection) => self.handle_overflow(io, connection),
            Input::TurnEnded => self.end_turn(io),
        }
    }

    fn handle_opened(&mut self, io: &mut impl Sockets, connection: ConnectionId) {
        let session = Session::new(&mut self.outputs);
        self.table.insert(connection, session);
        self.do_outputs(io, connection);
        self.pending_handshakes.add(connection, &mut self.table);
        let held = u32::try_from(io.connections()).unwrap_or(u32::MAX);
        let room = self.config.connections_max.saturating_add(SPARE_CONNECTIONS - FREE_CONNECTIONS);
        if held > room
            && let Some(oldest) = self.pending_handshakes.oldest(&mut self.table)
        {
            add(&self.counters.handshakes_evicted, 1);
            self.call(io, oldest, Session::handle_eviction);
        }
    }

    fn handle_bytes(&mut self, io: &mut impl Sockets, connection: ConnectionId, data: &mut [u8]) {
        self.call(io, connection, |session, context| session.handle_bytes(data, context));
    }

    fn handle_closed(&mut self, io: &mut impl Sockets, connection: ConnectionId) {
        if self.table.session(connection).is_some_and(|session| session.is_open()) {
            set(&self.counters.open, self.counters.open_now() - 1);
        }
        self.call(io, connection, Session::handle_closed);
        if let Some(timer) = self.table.remove(connection) {
            io.cancel_timer(timer);
        }
    }

    fn handle_timer(&mut self, io: &mut impl Sockets, timer: TimerKey) {
        if timer == RETRY_TIMER {
            self.is_retrying = false;
        } else {
            self.call(io, ConnectionId::from_u64(timer), Session::handle_timeout);
        }
    }

    fn handle_mail(&mut self, io: &mut impl Sockets, mail: ToShard) {
        if let ToShard::WallClock(time) = mail {
            self.time = time;
            self.time_read_at = Some(io.now());
        } else {
            self.deliver(io, mail);
        }
    }

    fn handle_overflow(&mut self, io: &mut impl Sockets, connection: ConnectionId) {
        add(&self.counters.slow_consumers, 1);
        self.call(io, connection, Session::handle_overflow);
    }

    fn end_turn(&mut self, io: &mut impl Sockets) {
        self.read_on(io);
        if !self.outgoing.flush() && !self.is_retrying {
            self.is_retrying = true;
            io.set_timer(RETRY, RETRY_TIMER);
        }
        self.counters.publish(&self.counts);
        set(&self.counters.channels, self.index.channel_count() as u64);
        set(&self.counters.requests_waiting, self.outgoing.waiting() as u64);
    }
}
