//! The loop: one turn after the other, until the handler or the shard's owner stops it.

mod patience;

use std::io;
use std::sync::Arc;
use std::time::Duration;

use crate::config::Config;
use crate::connection::{CloseReason, ConnectionId};
use crate::driver::{Event, Lease, ReceiveEnd, ReceivePool};
use crate::handler::Handler;
use crate::io::{Due, Io, clock};
use crate::mailbox::Mailbox;
use crate::table::Phase;
use crate::tls::{Received, Session};
use patience::Patience;

/// A turn takes mail for so long; then it sends what that made.
const MAIL_TIME_MAX: Duration = Duration::from_millis(5);
/// The clock is looked at after so many.
const MAILS_PER_LOOK: usize = 8;
/// Pause after accepting failed for want of descriptors or memory.
const ACCEPT_PAUSE: Duration = Duration::from_millis(100);
/// Pause between two looks for idle connections, each at a part of the table.
const SWEEP_INTERVAL: Duration = Duration::from_secs(1);

pub(crate) struct Reactor<H: Handler> {
    io: Io,
    handler: H,
    mailbox: Mailbox<H::Mail>,
    pool: ReceivePool,
    /// What a TLS connection's bytes say.
    plain: Vec<u8>,
    /// Connections whose receive ended though they go on: armed again after the buffers of this
    /// turn were given back.
    to_arm: Vec<ConnectionId>,
    accept_paused: bool,
    idle_to_watch: Duration,
    /// The slot that was looked at last.
    sweep_at: usize,
    stall: Duration,
    stall_at: usize,
    patience: Patience,
    mail_per_turn: usize,
}

impl<H: Handler> Reactor<H> {
    pub(crate) fn new(
        io: Io,
        handler: H,
        mailbox: Mailbox<H::Mail>,
        pool: ReceivePool,
        config: &Config,
    ) -> Reactor<H> {
        Reactor {
            io,
            handler,
            mailbox,
            pool,
            plain: Vec::new(),
            to_arm: Vec::new(),
            accept_paused: false,
            idle_to_watch: Duration::from_millis(config.idle_to_watch_ms.into()),
            sweep_at: 0,
            stall: Duration::from_millis(config.send_stall_ms.into()),
            stall_at: 0,
            patience: Patience::new(config),
            mail_per_turn: config.mail_per_turn,
        }
    }

    /// Runs until told to stop.
    ///
    /// # Errors
    /// The kernel interface itself failed; a connection's error only ends the connection.
    pub(crate) fn run(mut self) -> io::Result<()> {
        let counters = Arc::clone(&self.io.counters);
        if self.io.driver.can_doze() && !self.idle_to_watch.is_zero() {
            self.io.set_due(SWEEP_INTERVAL.min(self.idle_to_watch), Due::Sweep);
        }
        if !self.stall.is_zero() {
            self.io.set_due(SWEEP_INTERVAL.min(self.stall / 2), Due::Stalls);
        }
        while !self.io.stopping && !self.mailbox.bell().is_stopping() {
            self.open_doors();
            // What was appended after the flush must not wait for the kernel.
            let timeout = if self.io.dirty.is_empty() && self.mailbox.may_sleep() {
                self.io.until_next_timer(clock())
            } else {
                Some(Duration::ZERO)
            };
            let waited = self.io.driver.wait(timeout, &counters);
            self.mailbox.woke();
            waited?;
            self.io.now = clock();
            counters.turns.add(1);
            self.take_events()?;
            self.take_mail();
            self.take_timers();
            self.handler.turn_ended(&mut self.io);
            self.settle();
            self.flush();
            self.settle();
        }
        self.close_all();
        Ok(())
    }

    /// Tells the driver how many connections may be accepted.
    fn open_doors(&mut self) {
        let room = if self.io.accepting && !self.accept_paused {
            self.io.max_connections - self.io.table.occupied().min(self.io.max_connections)
        } else {
            0
        };
        self.io.driver.accept(room);
    }

    fn take_events(&mut self) -> io::Result<()> {
        while let Some(event) = self.io.driver.next_event(&mut self.pool)? {
            self.take_event(event);
            self.settle();
        }
        for id in std::mem::take(&mut self.to_arm) {
            let lives =
                self.io.table.peek(id).is_some_and(|entry| {
                    matches!(entry.phase, Phase::Open | Phase::Draining | Phase::Finishing)
                });
            if lives {
                self.io.driver.receive(id);
            }
        }
        Ok(())
    }

    fn take_event(&mut self, event: Event) {
        match event {
            Event::Accepted(id) => {
                self.io.table.occupy(id, Phase::Open);
                self.io.counters.accepted.add(1);
                self.open(id, true);
            }
            Event::AcceptFailed(errno) => self.pause_accepting(errno),
            Event::Connected(id, result) => self.connected(id, result),
            Event::Received { id, lease, more } => self.received(id, lease, more),
            Event::ReceiveEnded(id, ReceiveEnd::Eof) => {
                self.io.peer_ended(id);
            }
            Event::ReceiveEnded(id, ReceiveEnd::NoBuffers) => {
                self.io.counters.enobufs.add(1);
                self.to_arm.push(id);
            }
            Event::ReceiveEnded(id, ReceiveEnd::Error(errno)) => {
                self.io.doom(id, CloseReason::from_errno(errno));
            }
            Event::Sent { id, buffer, offset, result } => self.sent(id, buffer, offset, result),
            Event::Closed(id) => self.io.table.vacate(id),
        }
    }

    fn received(&mut self, id: ConnectionId, lease: Lease, more: bool) {
        let data = self.pool.lent(&lease);
        let counters = &self.io.counters;
        counters.receives.add(1);
        counters.received_bytes.add(data.len() as u64);
        match self.io.table.find(id) {
            Some(entry) if entry.phase == Phase::Open => {
                entry.active = true;
                entry.dozing = false;
                // A ring may say the end of the stream with an empty buffer first.
                if entry.tls.is_some() {
                    received_tls(&mut self.io, &mut self.handler, &mut self.plain, id, data);
                } else if !data.is_empty() {
                    self.handler.received(&mut self.io, id, data);
                }
            }
            _ => counters.discarded_bytes.add(data.len() as u64),
        }
        self.pool.give_back(lease);
        if !more {
            self.to_arm.push(id);
        }
    }

    fn open(&mut self, id: ConnectionId, accepted: bool) {
        let Some(entry) = self.io.table.find(id) else {
            return;
        };
        entry.phase = Phase::Open;
        entry.opened = true;
        if let Some(config) = self.io.tls.as_ref().filter(|_| accepted) {
            match Session::new(config) {
                Ok(session) => entry.tls = Some(Box::new(session)),
                Err(error) => {
                    tracing::error!(%error, "a TLS connection could not be begun");
                    self.io.doom(id, CloseReason::Error(0));
                }
            }
        }
        let counters = &self.io.counters;
        counters.connections.set(counters.connections.value() + 1);
        self.io.driver.receive(id);
        self.handler.opened(&mut self.io, id);
    }

    fn connected(&mut self, id: ConnectionId, result: Result<(), i32>) {
        let Some(entry) = self.io.table.find(id) else {
            return;
        };
        if entry.phase != Phase::Connecting {
            return;
        }
        match result {
            Ok(()) => {
                self.io.counters.connected.add(1);
                self.open(id, false);
            }
            Err(errno) => self.io.doom(id, CloseReason::ConnectFailed(errno)),
        }
    }

    fn pause_accepting(&mut self, errno: i32) {
        self.io.counters.accept_failures.add(1);
        if !self.accept_paused {
            tracing::warn!(
                errno,
                "accepting failed, most likely for want of descriptors; trying again in {} ms",
                ACCEPT_PAUSE.as_millis()
            );
            self.accept_paused = true;
            self.io.set_due(ACCEPT_PAUSE, Due::Accept);
        }
    }

    fn sent(&mut self, id: ConnectionId, buffer: Vec<u8>, offset: usize, result: Result<usize, i32>) {
        let Io { table, counters, send_buffers, driver, dirty, .. } = &mut self.io;
        let Some(entry) = table.find(id) else {
            return send_buffers.give(buffer);
        };
        if !matches!(entry.phase, Phase::Open | Phase::Draining) {
            entry.in_flight = 0;
            return send_buffers.give(buffer);
        }
        let sent = match result {
            Ok(sent) => sent,
            Err(errno) => {
                entry.in_flight = 0;
                send_buffers.give(buffer);
                return self.io.doom(id, CloseReason::from_errno(errno));
            }
        };
        counters.sends.add(1);
        counters.sent_bytes.add(sent as u64);
        entry.in_flight -= sent;
        entry.stalled = false;
        if entry.in_flight > 0 {
            driver.send(id, buffer, offset + sent);
            return self.patience.shrank(&mut self.io, id);
        }
        send_buffers.give(buffer);
        let draining = entry.phase == Phase::Draining;
        if !entry.pending.is_empty() || entry.tls.as_ref().is_some_and(|tls| tls.owes(draining)) {
            if !entry.dirty {
                entry.dirty = true;
                dirty.push(id);
            }
        } else if draining {
            self.io.drained(id);
        }
        self.patience.shrank(&mut self.io, id);
    }

    /// What stays in the mailbox is for the next turn, which comes at once: sockets must not wait for long.
    fn take_mail(&mut self) {
        let until = clock() + MAIL_TIME_MAX;
        for number in 1..=self.mail_per_turn {
            let Some(mail) = self.mailbox.take() else {
                break;
            };
            self.io.counters.mails.add(1);
            self.handler.mail(&mut self.io, mail);
            if number % MAILS_PER_LOOK == 0 && clock() >= until {
                break;
            }
        }
        self.settle();
    }

    fn take_timers(&mut self) {
        let tick = self.io.tick();
        while let Some(due) = self.io.wheel.pop(tick) {
            match due {
                Due::Handler(key) => {
                    self.io.counters.timers.add(1);
                    self.handler.timer(&mut self.io, key);
                }
                Due::Linger(id) => self.linger_expired(id),
                Due::Accept => self.accept_paused = false,
                Due::Sweep => self.sweep(),
                Due::Stalls => self.look_for_stalls(),
                Due::Patience(id) => self.overflow(id, false),
            }
        }
        self.settle();
    }

    /// Looks at a part of the table for connections that were idle since the last look, such that
    /// each is looked at once in `idle_to_watch_ms`.
    fn sweep(&mut self) {
        let Io { table, driver, .. } = &mut self.io;
        let rounds = (self.idle_to_watch.as_millis() / SWEEP_INTERVAL.as_millis()).max(1) as usize;
        for _ in 0..table.slots().div_ceil(rounds) {
            self.sweep_at = (self.sweep_at + 1) % table.slots();
            let Some((id, entry)) = table.open_at(self.sweep_at) else {
                continue;
            };
            if !entry.active && !entry.dozing {
                entry.dozing = true;
                driver.doze(id);
            }
            entry.active = false;
        }
        self.io.set_due(SWEEP_INTERVAL.min(self.idle_to_watch), Due::Sweep);
    }

    /// Looks at a part of the table for connections that were in the same flight at the last look, such that each is
    /// looked at twice in `send_stall_ms`.
    fn look_for_stalls(&mut self) {
        let half = self.stall / 2;
        let table = &mut self.io.table;
        let rounds = (half.as_millis() / SWEEP_INTERVAL.as_millis()).max(1) as usize;
        let mut stalled = Vec::new();
        for _ in 0..table.slots().div_ceil(rounds) {
            self.stall_at = (self.stall_at + 1) % table.slots();
            let Some((id, entry)) = table.open_at(self.stall_at) else {
                continue;
            };
            if entry.stalled {
                stalled.push(id);
            }
            entry.stalled = entry.in_flight > 0;
        }
        for id in stalled {
            self.overflow(id, true);
        }
        self.io.set_due(SWEEP_INTERVAL.min(half), Due::Stalls);
    }

    fn linger_expired(&mut self, id: ConnectionId) {
        let draining = self
            .io
            .table
            .peek(id)
            .is_some_and(|entry| matches!(entry.phase, Phase::Draining | Phase::Finishing));
        if draining {
            self.io.doom(id, CloseReason::LingerExpired);
        }
    }

    /// Gives the kernel what was appended, one send per connection.
    fn flush(&mut self) {
        let mut dirty = std::mem::take(&mut self.io.dirty);
        for &id in &dirty {
            self.check_limit(id);
            let Io { table, driver, send_buffers, .. } = &mut self.io;
            let Some(entry) = table.find(id) else {
                continue;
            };
            entry.dirty = false;
            if !matches!(entry.phase, Phase::Open | Phase::Draining) || entry.in_flight > 0 {
                continue;
            }
            let mut buffer = std::mem::take(&mut entry.pending);
            if let Some(tls) = &mut entry.tls {
                let plain = std::mem::replace(&mut buffer, send_buffers.take());
                let sealed = tls.seal(&plain, &mut buffer);
                if entry.phase == Phase::Draining {
                    tls.say_goodbye(&mut buffer);
                }
                send_buffers.give(plain);
                if let Err(error) = sealed {
                    tracing::debug!(%error, "a TLS connection ends");
                    send_buffers.give(buffer);
                    self.io.doom(id, CloseReason::Reset);
                    continue;
                }
            }
            if buffer.is_empty() {
                send_buffers.give(buffer);
                if entry.phase == Phase::Draining {
                    self.io.drained(id);
                }
                continue;
            }
            entry.in_flight = buffer.len();
            driver.send(id, buffer, 0);
        }
        // A handler told of an overflow may have written to connections beside: they are flushed
        // in the next turn, which `wait` must not delay.
        dirty.clear();
        if self.io.dirty.is_empty() {
            self.io.dirty = dirty;
        }
    }

    fn check_limit(&mut self, id: ConnectionId) {
        if self.io.is_open(id) && self.patience.is_exhausted(&mut self.io, id) {
            self.overflow(id, false);
        }
        while let Some(stalest) = self.patience.gives_way() {
            self.overflow(stalest, true);
            // Whether or not it could say goodbye, it counts no more: its linger ends it.
            self.patience.forget(&mut self.io, stalest);
        }
    }

    /// The handler is told that a reader is slow. Unless it lets it go, or makes room (which is no use where `must_go`),
    /// the connection ends at once.
    fn overflow(&mut self, id: ConnectionId, must_go: bool) {
        if !self.io.is_open(id) {
            return;
        }
        self.io.counters.queue_overflows.add(1);
        self.io.overflowing = true;
        self.handler.overflowed(&mut self.io, id);
        self.io.overflowing = false;
        self.patience.shrank(&mut self.io, id);
        if self.io.is_open(id) && (must_go || self.patience.waits_for(id)) {
            self.io.doom(id, CloseReason::QueueFull);
        }
    }

    /// Tells the handler of connections that ended and closes them.
    fn settle(&mut self) {
        while let Some(id) = self.io.doomed.pop() {
            let Some(entry) = self.io.table.find(id) else {
                continue;
            };
            entry.phase = Phase::Closing;
            let reason = entry.reason;
            let opened = entry.opened;
            let pending = std::mem::take(&mut entry.pending);
            self.io.send_buffers.give(pending);
            self.io.driver.close(id);
            self.patience.forget(&mut self.io, id);
            if opened {
                let counters = &self.io.counters;
                counters.connections.set(counters.connections.value() - 1);
                counters.closed.add(1);
            }
            if opened || matches!(reason, CloseReason::ConnectFailed(_)) {
                self.handler.closed(&mut self.io, id, reason);
            }
        }
    }

    fn close_all(&mut self) {
        for id in self.io.table.opened() {
            self.io.doom(id, CloseReason::Stopping);
        }
        self.settle();
    }
}

/// Bytes of a TLS connection: the handler gets what they say.
fn received_tls<H: Handler>(
    io: &mut Io,
    handler: &mut H,
    plain: &mut Vec<u8>,
    id: ConnectionId,
    data: &mut [u8],
) {
    let Some(entry) = io.table.find(id) else { return };
    let Some(tls) = &mut entry.tls else { return };
    plain.clear();
    let received = tls.receive(data, plain);
    if !tls.wire.is_empty() && !entry.dirty {
        entry.dirty = true;
        io.dirty.push(id);
    }
    if !plain.is_empty() {
        handler.received(io, id, plain);
    }
    match received {
        Ok(Received::More) => {}
        Ok(Received::Ended) => io.peer_ended(id),
        Err(error) => {
            tracing::debug!(%error, "a TLS connection ends");
            // The alert is all that is still said.
            io.drain(id, CloseReason::Reset, true);
        }
    }
}
