//! One thread of the load: its share of the connections, one epoll loop, one read buffer, one timer.
//!
//! The loop wakes on packets and on a tick while there is something left to send; what came due since the last turn is
//! written then. A message leaves at most a tick late, and its latency is counted from the due time all the same.

use std::io::Write as _;
use std::os::fd::OwnedFd;
use std::sync::Arc;
use std::sync::atomic::Ordering::Relaxed;
use std::time::{Duration, Instant};

use ringside_test_client::websocket::Target;
use rustix::buffer::spare_capacity;
use rustix::event::epoll::{self, Event, EventData, EventFlags};
use rustix::time::Timespec;

use super::connection::{AgentConnection, EndReason};
use super::options::LoadError;
use super::plan::Plan;
use super::scan::key;
use super::scoreboard::Scoreboard;
use super::ticker::{TICK, Ticker};
use super::tracker::Tracker;

const READ_BUFFER_BYTES: usize = 256 * 1024;
const EVENTS_PER_WAIT: usize = 512;
/// Upgrades under way at once: a storm of handshakes measures something else.
const MAX_UPGRADES_IN_FLIGHT: usize = 64;
/// Without any connection opening for this long, opening has failed.
const OPEN_DEADLINE: Duration = Duration::from_secs(30);
/// How long the loop sleeps at most, to look whether it should stop.
const IDLE_WAIT: Duration = Duration::from_millis(20);
const TIMER: u64 = u64::MAX;

const _: () = assert!(TICK.as_nanos() < IDLE_WAIT.as_nanos());
const _: () = assert!(MAX_UPGRADES_IN_FLIGHT <= EVENTS_PER_WAIT);

/// What a worker needs to know of the run.
pub(super) struct Assignment {
    pub worker: u32,
    pub workers: u32,
    pub target: Target,
    pub plan: Arc<Plan>,
    pub scoreboard: Arc<Scoreboard>,
    /// Whether a connection is open only when `hello` was read.
    pub await_hello: bool,
    pub message_bytes: u32,
}

pub(super) struct Worker {
    assignment: Assignment,
    tracker: Tracker,
    epoll: OwnedFd,
    ticker: Ticker,
    connections: Vec<AgentConnection>,
    /// Numbers of the messages that this worker sends, by due time.
    sends: Vec<u32>,
    next_send: usize,
    dirty: Vec<usize>,
    events: Vec<Event>,
    buffer: Vec<u8>,
    text: Vec<u8>,
    opened: usize,
}

impl Worker {
    pub(super) fn new(assignment: Assignment) -> Result<Self, LoadError> {
        let Assignment { worker, workers, .. } = assignment;
        let plan = &assignment.plan;
        let own = |number: &u32| plan.sends[*number as usize].connection % workers == worker;
        let sends = (0..plan.sends.len() as u32).filter(own).collect();
        let epoll = epoll::create(epoll::CreateFlags::CLOEXEC).map_err(std::io::Error::from)?;
        let ticker = Ticker::new()?;
        epoll::add(&epoll, &ticker, EventData::new_u64(TIMER), EventFlags::IN)
            .map_err(std::io::Error::from)?;
        let tracker = Tracker::new(Arc::clone(plan), Arc::clone(&assignment.scoreboard));
        Ok(Self {
            assignment,
            tracker,
            epoll,
            ticker,
            connections: Vec::new(),
            sends,
            next_send: 0,
            dirty: Vec::new(),
            events: Vec::with_capacity(EVENTS_PER_WAIT),
            buffer: vec![0; READ_BUFFER_BYTES],
            text: Vec::new(),
            opened: 0,
        })
    }

    /// Opens its connections, sends its messages, reads until the scoreboard says stop.
    pub(super) fn run(mut self) -> Result<Tracker, LoadError> {
        self.open_all()?;
        let mut ticking = false;
        while !self.assignment.scoreboard.is_stopped() {
            let sending =
                self.assignment.scoreboard.started_at_ns().is_some() && self.next_send < self.sends.len();
            if sending != ticking {
                self.ticker.turn(sending)?;
                ticking = sending;
            }
            self.send_due();
            self.flush_dirty();
            for (index, reason) in self.turn(IDLE_WAIT)? {
                self.assignment.scoreboard.totals.dropped.fetch_add(1, Relaxed);
                self.tracker.trouble(format!("connection {}: {reason}", self.number(index)));
            }
        }
        Ok(self.tracker)
    }

    /// The run's number of a connection of this worker.
    fn number(&self, index: usize) -> u32 {
        self.assignment.worker + index as u32 * self.assignment.workers
    }

    fn open_all(&mut self) -> Result<(), LoadError> {
        let plan = Arc::clone(&self.assignment.plan);
        let total = plan.connections.len();
        let mine = (self.assignment.worker as usize..total).step_by(self.assignment.workers as usize);
        for number in mine {
            let planned = &plan.connections[number];
            // Nonces have to differ between connections; that they repeat between runs harms nobody here.
            let nonce = (u128::from(plan.run) << 64) | (number as u128 + 1);
            let connection = AgentConnection::open(&self.assignment.target, &planned.token, nonce)
                .map_err(|error| self.not_opened(number as u32, &error.into()))?;
            let index = self.connections.len();
            let data = EventData::new_u64(index as u64);
            epoll::add(&self.epoll, &connection.stream, data, EventFlags::IN)
                .map_err(std::io::Error::from)?;
            self.connections.push(connection);
            self.mark_dirty(index);
            self.wait_for_upgrades(MAX_UPGRADES_IN_FLIGHT)?;
        }
        self.wait_for_upgrades(0)
    }

    /// Turns the loop until at most `allowed` connections are on their way to being open.
    fn wait_for_upgrades(&mut self, allowed: usize) -> Result<(), LoadError> {
        let (mut opened, mut since) = (self.opened, Instant::now());
        while self.connections.len() - self.opened > allowed && !self.assignment.scoreboard.is_stopped() {
            self.flush_dirty();
            if let Some((index, reason)) = self.turn(IDLE_WAIT)?.into_iter().next() {
                return Err(self.not_opened(self.number(index), &reason));
            }
            if self.opened != opened {
                (opened, since) = (self.opened, Instant::now());
            } else if since.elapsed() > OPEN_DEADLINE {
                let stuck = self.connections.iter().position(|connection| !connection.is_open).unwrap_or(0);
                let reason = std::io::Error::new(std::io::ErrorKind::TimedOut, "no answer to the upgrade");
                return Err(self.not_opened(self.number(stuck), &reason.into()));
            }
        }
        Ok(())
    }

    fn not_opened(&self, connection: u32, reason: &EndReason) -> LoadError {
        let user = self.assignment.plan.connections[connection as usize].username.clone();
        LoadError::Open { connection, user, reason: reason.to_string() }
    }

    /// ns of the plan's time; 0 before it starts.
    fn plan_now_ns(&self) -> Option<u64> {
        let scoreboard = &self.assignment.scoreboard;
        scoreboard.elapsed_ns().checked_sub(scoreboard.started_at_ns()?)
    }

    fn send_due(&mut self) {
        let Some(now_ns) = self.plan_now_ns() else { return };
        let plan = Arc::clone(&self.assignment.plan);
        while let Some(&number) = self.sends.get(self.next_send) {
            let send = plan.sends[number as usize];
            if send.due_ns > now_ns {
                return;
            }
            self.next_send += 1;
            let index = (send.connection / self.assignment.workers) as usize;
            if self.connections[index].has_ended {
                continue;
            }
            self.write_message(&plan, number as usize);
            self.connections[index].queue(&self.text);
            self.mark_dirty(index);
            self.tracker.sent(number as usize, now_ns);
        }
    }

    fn write_message(&mut self, plan: &Plan, number: usize) {
        let channel_id = &plan.channels[plan.sends[number].channel as usize].channel_id;
        let key = key(plan.run, number);
        let width = self.assignment.message_bytes as usize;
        self.text.clear();
        write!(
            self.text,
            r#"{{"type":"message.send","id":"{key}","payload":{{"channel_id":"{channel_id}","content":"{number:x>width$}","content_type":"text","reply_to":null}}}}"#
        )
        .expect("writing to memory");
    }

    fn mark_dirty(&mut self, index: usize) {
        if !self.connections[index].is_dirty {
            self.connections[index].is_dirty = true;
            self.dirty.push(index);
        }
    }

    /// Writes everything that was queued in this turn, one write a connection.
    fn flush_dirty(&mut self) {
        while let Some(index) = self.dirty.pop() {
            self.connections[index].is_dirty = false;
            self.flush(index);
        }
    }

    fn flush(&mut self, index: usize) {
        let connection = &mut self.connections[index];
        if connection.has_ended {
            return;
        }
        // A failure shows again as soon as the connection is read.
        let left = matches!(connection.flush(), Ok(false));
        if left != connection.watches_room {
            connection.watches_room = left;
            let flags = if left { EventFlags::IN | EventFlags::OUT } else { EventFlags::IN };
            let data = EventData::new_u64(index as u64);
            let modified = epoll::modify(&self.epoll, &connection.stream, data, flags);
            modified.expect("a registered descriptor can be modified");
        }
    }

    /// Waits once and handles what came. Returns the connections that ended.
    fn turn(&mut self, wait: Duration) -> Result<Vec<(usize, EndReason)>, LoadError> {
        let timeout = Timespec { tv_sec: 0, tv_nsec: wait.as_nanos() as _ };
        let mut events = std::mem::take(&mut self.events);
        events.clear();
        match epoll::wait(&self.epoll, spare_capacity(&mut events), Some(&timeout)) {
            Ok(_) | Err(rustix::io::Errno::INTR) => {}
            Err(error) => return Err(std::io::Error::from(error).into()),
        }
        let mut ended = Vec::new();
        for event in &events {
            let data = event.data;
            let (flags, index) = (event.flags, data.u64());
            if index == TIMER {
                self.ticker.take();
                continue;
            }
            let index = index as usize;
            if flags.contains(EventFlags::OUT) {
                self.flush(index);
            }
            if flags.intersects(EventFlags::IN | EventFlags::HUP | EventFlags::ERR)
                && let Err(reason) = self.read(index)
            {
                self.connections[index].has_ended = true;
                let deleted = epoll::delete(&self.epoll, &self.connections[index].stream);
                deleted.expect("a registered descriptor can be deleted");
                ended.push((index, reason));
            }
        }
        self.events = events;
        Ok(ended)
    }

    fn read(&mut self, index: usize) -> Result<(), EndReason> {
        let number = self.number(index);
        loop {
            let now_ns = self.plan_now_ns().unwrap_or(0);
            let connection = &mut self.connections[index];
            let tracker = &mut self.tracker;
            let mut hello = false;
            let outcome =
                connection.read(&mut self.buffer, &mut |text| hello |= tracker.take(number, text, now_ns))?;
            let opens = hello || (!self.assignment.await_hello && connection.has_upgraded());
            if opens && !connection.is_open {
                connection.is_open = true;
                self.opened += 1;
                self.assignment.scoreboard.totals.opened.fetch_add(1, Relaxed);
            }
            if connection.has_queued() {
                self.mark_dirty(index);
            }
            let Some(outcome) = outcome else { return Ok(()) };
            let totals = &self.assignment.scoreboard.totals;
            totals.reads.fetch_add(1, Relaxed);
            totals.frames.fetch_add(outcome.frames, Relaxed);
            if outcome.bytes < self.buffer.len() {
                return Ok(());
            }
        }
    }
}
