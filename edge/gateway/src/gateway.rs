//! A shard's handler: what the reactor tells, and what the node mails.

mod handshakes;

use std::sync::Arc;
use std::time::{Duration, Instant};

use ringside_edge_protocol::{ConnectionRef, ShardId, ToNode, ToShard};
use ringside_reactor::{CloseReason, ConnectionId, Handler, Io, TimerKey};
use ringside_session::heartbeat::Due;
use ringside_session::token::Verifier;
use ringside_types::{CloseCode, Epoch, Slot, UnixMillis, UserId};
use ringside_websocket::handshake::RequestParser;
use ringside_websocket::{Opcode, write_close, write_frame};
use ringside_wire::event::GoodbyeReason;

use crate::config::{
    CLOSE_TIMEOUT, Config, FREE_CONNECTIONS, HANDSHAKE_TIMEOUT, RETRY, SLOW_CLOSE_TIMEOUT, SPARE_CONNECTIONS,
};
use crate::connection::{Client, Phase, Table};
use crate::counters::{Counters, add, set};
use crate::frames::write_goodbye;
use crate::handshake::Refused;
use crate::index::Index;
use crate::outgoing::{HandOver, Outgoing};
use handshakes::PendingHandshakes;

/// The timer that hands requests over again. No connection's number is 0.
const RETRY_TIMER: TimerKey = 0;

/// One shard's gateway.
#[derive(Debug)]
pub struct Gateway {
    pub(crate) config: Arc<Config>,
    pub(crate) shard: ShardId,
    pub(crate) verifier: Arc<Verifier>,
    pub(crate) counters: Arc<Counters>,
    pub(crate) outgoing: Outgoing,
    pub(crate) table: Table,
    pending_handshakes: PendingHandshakes,
    pub(crate) index: Index,
    pub(crate) seat: Option<(Slot, Epoch)>,
    pub(crate) draining: bool,
    /// Connections whose next page waits until they have taken what is queued for them.
    pub(crate) stalled: Vec<ConnectionId>,
    /// The JSON of a frame, before its header is known.
    pub(crate) scratch: Vec<u8>,
    /// A frame for many connections.
    pub(crate) encoded: Vec<u8>,
    time: UnixMillis,
    time_read_at: Option<Instant>,
    retrying: bool,
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
            config,
            shard,
            verifier,
            counters,
            outgoing: Outgoing::new(hand_over),
            table: Table::default(),
            pending_handshakes: PendingHandshakes::default(),
            index: Index::default(),
            seat: None,
            draining: false,
            stalled: Vec::new(),
            scratch: Vec::new(),
            encoded: Vec::new(),
            time,
            time_read_at: None,
            retrying: false,
        }
    }

    /// The time of day in this turn.
    pub(crate) fn time(&mut self, io: &Io) -> UnixMillis {
        let read_at = *self.time_read_at.get_or_insert(io.now());
        self.time.plus_ms(io.now().saturating_duration_since(read_at).as_millis() as u64)
    }

    pub(crate) fn reference(&self, connection: ConnectionId) -> ConnectionRef {
        ConnectionRef { shard: self.shard, token: connection.to_u64() }
    }

    /// Sets a connection's one timer in place of the one before.
    pub(crate) fn set_timer(&mut self, io: &mut Io, connection: ConnectionId, after: Duration) {
        let timer = io.set_timer(after, connection.to_u64());
        if let Some(before) = self.table.set_timer(connection, timer) {
            io.cancel_timer(before);
        }
    }

    /// Sends `goodbye` and a close frame; the connection ends when the peer has answered, or a while later.
    pub(crate) fn let_go(
        &mut self,
        io: &mut Io,
        connection: ConnectionId,
        client: &mut Client,
        reason: GoodbyeReason,
        code: CloseCode,
    ) {
        if client.ending {
            return;
        }
        client.ending = true;
        client.reader = None;
        if let Some(queue) = io.queue(connection) {
            write_goodbye(queue, reason, code, rand::random());
        }
        self.set_timer(io, connection, CLOSE_TIMEOUT);
    }

    /// The same for a connection that stands in the table.
    pub(crate) fn let_go_by_id(
        &mut self,
        io: &mut Io,
        connection: ConnectionId,
        reason: GoodbyeReason,
        code: CloseCode,
    ) {
        match self.table.take(connection) {
            Some(Phase::Open(mut open)) => {
                self.let_go(io, connection, &mut open.client, reason, code);
                self.table.put(connection, Phase::Open(open));
            }
            Some(other) => self.table.put(connection, other),
            None => {}
        }
    }

    fn connection_timer(&mut self, io: &mut Io, connection: ConnectionId) {
        match self.table.take(connection) {
            Some(Phase::Handshake(parser)) => {
                self.table.put(connection, Phase::Handshake(parser));
                self.refuse(io, connection, &Refused::Timeout);
            }
            Some(Phase::Admitting(admitting)) => {
                self.table.put(connection, Phase::Admitting(admitting));
                self.refuse(io, connection, &Refused::Unavailable);
            }
            Some(Phase::Open(mut open)) => {
                self.heartbeat(io, connection, &mut open.client);
                self.table.put(connection, Phase::Open(open));
            }
            Some(Phase::Ended) | None => io.close_now(connection),
        }
    }

    fn heartbeat(&mut self, io: &mut Io, connection: ConnectionId, client: &mut Client) {
        if client.ending {
            return io.close_now(connection);
        }
        if self.draining {
            return self.let_go(io, connection, client, GoodbyeReason::Draining, CloseCode::Draining);
        }
        let time = self.time(io);
        match client.heartbeat.due(io.now(), time) {
            Due::Nothing => {}
            Due::Ping => self.ping(io, connection),
            Due::Silent => {
                add(&self.counters.silent, 1);
                return io.close_now(connection);
            }
            Due::Expired => {
                let (reason, code) = (GoodbyeReason::TokenExpired, CloseCode::TokenExpired);
                return self.let_go(io, connection, client, reason, code);
            }
        }
        self.set_timer(io, connection, client.heartbeat.next(io.now(), time));
    }

    /// Asks the user's connections whether they live.
    pub(crate) fn probe(&mut self, io: &mut Io, user: UserId) {
        for connection in self.index.connections(user).to_vec() {
            match self.table.take(connection) {
                Some(Phase::Open(mut open)) => {
                    if !open.client.ending {
                        open.client.heartbeat.probe(io.now());
                        self.ping(io, connection);
                        let time = self.time(io);
                        self.set_timer(io, connection, open.client.heartbeat.next(io.now(), time));
                    }
                    self.table.put(connection, Phase::Open(open));
                }
                Some(other) => self.table.put(connection, other),
                None => {}
            }
        }
    }

    fn ping(&mut self, io: &mut Io, connection: ConnectionId) {
        if let Some(queue) = io.queue(connection) {
            write_frame(queue, Opcode::Ping, &[], None);
        }
    }

    /// Closes for what the peer did wrong.
    pub(crate) fn fail(&mut self, io: &mut Io, connection: ConnectionId, client: &mut Client, code: u16) {
        if !client.ending
            && let Some(queue) = io.queue(connection)
        {
            write_close(queue, Some(code), "", None);
        }
        client.ending = true;
        io.close_after_answer(connection);
    }
}

impl Handler for Gateway {
    type Mail = ToShard;

    fn opened(&mut self, io: &mut Io, connection: ConnectionId) {
        self.table.insert(connection, Phase::Handshake(Box::new(RequestParser::new())));
        self.set_timer(io, connection, HANDSHAKE_TIMEOUT);
        self.pending_handshakes.add(connection, &mut self.table);
        let held = u32::try_from(io.connections()).unwrap_or(u32::MAX);
        let room = self.config.connections_max.saturating_add(SPARE_CONNECTIONS - FREE_CONNECTIONS);
        if held > room
            && let Some(oldest) = self.pending_handshakes.oldest(&mut self.table)
        {
            add(&self.counters.handshakes_evicted, 1);
            self.table.put(oldest, Phase::Ended);
            io.close_now(oldest);
        }
    }

    fn received(&mut self, io: &mut Io, connection: ConnectionId, data: &mut [u8]) {
        match self.table.take(connection) {
            Some(Phase::Handshake(parser)) => self.handshake(io, connection, parser, data),
            Some(Phase::Admitting(admitting)) => self.early(io, connection, admitting, data),
            Some(Phase::Open(mut open)) => {
                self.frames(io, connection, &mut open, data);
                self.table.put(connection, Phase::Open(open));
            }
            Some(Phase::Ended) | None => {}
        }
    }

    fn closed(&mut self, io: &mut Io, connection: ConnectionId, _: CloseReason) {
        let Some((phase, timer)) = self.table.remove(connection) else { return };
        if let Some(timer) = timer {
            io.cancel_timer(timer);
        }
        match phase {
            Phase::Open(open) => {
                self.index.disconnect(open.client.user_id, connection);
                set(&self.counters.open, self.counters.open_now() - 1);
            }
            Phase::Admitting(_) => {}
            Phase::Handshake(_) | Phase::Ended => return,
        }
        let connection = self.reference(connection);
        self.outgoing.push(ToNode::Closed { connection });
    }

    fn timer(&mut self, io: &mut Io, timer: TimerKey) {
        if timer == RETRY_TIMER {
            self.retrying = false;
        } else {
            self.connection_timer(io, ConnectionId::from_u64(timer));
        }
    }

    fn mail(&mut self, io: &mut Io, mail: ToShard) {
        if let ToShard::WallClock(time) = mail {
            self.time = time;
            self.time_read_at = Some(io.now());
        } else {
            self.deliver(io, mail);
        }
    }

    fn overflowed(&mut self, io: &mut Io, connection: ConnectionId) {
        add(&self.counters.slow_consumers, 1);
        // What the kernel was not given yet can go: the client finds it by syncing.
        if let Some(queue) = io.queue(connection) {
            queue.clear();
        }
        self.let_go_by_id(io, connection, GoodbyeReason::SlowConsumer, CloseCode::SlowConsumer);
        // It doesn't read, so it won't answer the close: the reactor's linger says how long it may take to.
        self.set_timer(io, connection, SLOW_CLOSE_TIMEOUT);
        io.close_after_flush(connection);
    }

    fn turn_ended(&mut self, io: &mut Io) {
        self.read_on(io);
        if !self.outgoing.flush() && !self.retrying {
            self.retrying = true;
            io.set_timer(RETRY, RETRY_TIMER);
        }
        set(&self.counters.channels, self.index.channel_count() as u64);
        set(&self.counters.requests_waiting, self.outgoing.waiting() as u64);
    }
}
