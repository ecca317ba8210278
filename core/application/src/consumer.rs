//! The runtime of whoever reads a topic: read, handle, commit, try again, stop; and which partitions are whose.
//!
//! [`Consumer`] says for one partition what to do next: a machine without I/O. [`run`] drives one of them for each
//! partition that is assigned, over a log and a [`Handler`]. A partition that is taken away ends at once, and what its
//! handler knew of it with it. [`follow`] reads a partition as it grows, for readers that commit nothing.

mod follow;
mod runner;

use std::time::{Duration, Instant};

use ringside_types::Offset;

pub use follow::follow;
pub use runner::{Assignment, Handler, HandlerError, Subscription, run};

/// How a consumer goes about its partitions.
#[derive(Debug, Clone, Copy)]
pub struct Rules {
    /// Records between two commits, which a restart reads again; 0: its handler commits by itself.
    pub commit_every: u64,
    /// The first pause after a failure; it doubles with each one that follows.
    pub pause: Duration,
    pub pause_max: Duration,
}

/// What to do next.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Step {
    /// Find out where the partition was left off; then [`Consumer::opened`].
    Open,
    /// Read on from here; then [`Consumer::read`].
    Read(Offset),
    /// Handle what was read; then [`Consumer::handled`].
    Handle,
    /// Commit that everything below this is done; then [`Consumer::committed`].
    Commit(Offset),
    /// Nothing until then; then [`Consumer::handle_timeout`].
    Wait(Instant),
}

/// One partition's reading. After any failure ([`Consumer::failed`]) all that is known of the partition is to be dropped; it
/// is opened anew after a pause.
#[derive(Debug)]
pub struct Consumer {
    rules: Rules,
    step: Step,
    /// Where the next read begins.
    next: Offset,
    committed: Offset,
    pause: Duration,
}

impl Consumer {
    /// A partition that is not open yet.
    pub fn new(rules: Rules) -> Self {
        let (next, committed) = (Offset(0), Offset(0));
        Self { rules, step: Step::Open, next, committed, pause: rules.pause }
    }

    /// What to do next.
    pub fn poll(&self) -> Step {
        self.step
    }

    /// Where the next read begins: what the log has above it waits.
    pub fn position(&self) -> Offset {
        self.next
    }

    /// The partition was left off here.
    pub fn opened(&mut self, from: Offset) {
        (self.next, self.committed) = (from, from);
        self.step = Step::Read(from);
    }

    /// A read came back with records up to and with this one; `None`: there are none yet.
    pub fn read(&mut self, last: Option<Offset>) {
        match last {
            Some(last) => {
                self.next = last.next();
                self.step = Step::Handle;
            }
            None => self.step = Step::Read(self.next),
        }
    }

    /// What was read is done. A restart may begin at `resume_from`, which is below the next record where the handler has to
    /// see some of them again.
    pub fn handled(&mut self, resume_from: Offset) {
        self.pause = self.rules.pause;
        let done = resume_from.0.saturating_sub(self.committed.0);
        let is_due = self.rules.commit_every > 0 && done >= self.rules.commit_every;
        self.step = if is_due { Step::Commit(resume_from) } else { Step::Read(self.next) };
    }

    /// The log has the commit.
    pub fn committed(&mut self) {
        if let Step::Commit(offset) = self.step {
            self.committed = offset;
        }
        self.step = Step::Read(self.next);
    }

    /// Whatever was being done did not succeed.
    pub fn failed(&mut self, now: Instant) {
        self.step = Step::Wait(now + self.pause);
        self.pause = (self.pause * 2).min(self.rules.pause_max);
    }

    pub fn handle_timeout(&mut self, now: Instant) {
        if let Step::Wait(until) = self.step
            && until <= now
        {
            self.step = Step::Open;
        }
    }
}

/// Every partition of a topic, for a process that shares none of them.
pub fn all(partitions: u16) -> Assignment {
    let all = (0..partitions).map(ringside_types::PartitionId).collect();
    tokio::sync::watch::channel(all).1
}
