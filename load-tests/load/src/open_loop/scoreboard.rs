//! What all workers know of every message, and how far the run has come: plain atomics, one entry a message.
//!
//! Orderings are relaxed throughout: the figures are read for good only after the workers have been joined.

use std::sync::atomic::{AtomicBool, AtomicU8, AtomicU32, AtomicU64, Ordering::Relaxed};
use std::time::Instant;

use super::plan::Plan;

const SENT: u8 = 1;
const ACKNOWLEDGED: u8 = 2;
const REFUSED: u8 = 4;

/// What is known of one message.
#[derive(Debug, Default)]
struct MessageState {
    deliveries: AtomicU32,
    flags: AtomicU8,
    /// The seq by the first delivery; 0 before it.
    seq: AtomicU64,
}

/// Running totals, for progress and for the report.
#[derive(Debug, Default)]
pub(super) struct Totals {
    /// Connections that have read `hello`.
    pub opened: AtomicU64,
    /// Connections that ended before they should.
    pub dropped: AtomicU64,
    pub sent: AtomicU64,
    pub acknowledged: AtomicU64,
    pub refused: AtomicU64,
    pub delivered: AtomicU64,
    /// Deliveries owed for what was acknowledged.
    pub owed: AtomicU64,
    pub doubled: AtomicU64,
    pub reordered: AtomicU64,
    /// Holes seen on a connection that were never filled later.
    pub gaps: AtomicU64,
    /// Messages with two seqs.
    pub inconsistent: AtomicU64,
    /// Messages of other runs.
    pub foreign: AtomicU64,
    /// Frames that make no sense, and refusals without an id.
    pub errors: AtomicU64,
    /// Frames read, of any type.
    pub frames: AtomicU64,
    /// Reads that brought something.
    pub reads: AtomicU64,
}

/// Shared by all threads of a run.
pub(super) struct Scoreboard {
    base: Instant,
    /// ns after `base` at which the plan's time 0 lies; 0 until all connections are open.
    start_ns: AtomicU64,
    stop: AtomicBool,
    messages: Vec<MessageState>,
    pub totals: Totals,
}

/// What was lost, doubled or left unanswered, after the run.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) struct Outcome {
    /// Deliveries that acknowledged messages are short of.
    pub lost_deliveries: u64,
    /// Acknowledged messages that somebody did not get.
    pub lost_messages: u64,
    /// Deliveries beyond one a connection.
    pub surplus_deliveries: u64,
    /// Sent, and neither acknowledged nor refused.
    pub unanswered: u64,
}

impl Scoreboard {
    pub(super) fn new(messages: usize) -> Self {
        Self {
            base: Instant::now(),
            start_ns: AtomicU64::new(0),
            stop: AtomicBool::new(false),
            messages: (0..messages).map(|_| MessageState::default()).collect(),
            totals: Totals::default(),
        }
    }

    /// Monotonic ns since the scoreboard was made.
    pub(super) fn elapsed_ns(&self) -> u64 {
        self.base.elapsed().as_nanos() as u64
    }

    /// Lets the plan's time begin `after_ns` from now.
    pub(super) fn start(&self, after_ns: u64) {
        self.start_ns.store(self.elapsed_ns() + after_ns, Relaxed);
    }

    /// When the plan's time began or begins, on the clock of [`Self::elapsed_ns`].
    pub(super) fn started_at_ns(&self) -> Option<u64> {
        Some(self.start_ns.load(Relaxed)).filter(|&start| start > 0)
    }

    pub(super) fn stop(&self) {
        self.stop.store(true, Relaxed);
    }

    pub(super) fn is_stopped(&self) -> bool {
        self.stop.load(Relaxed)
    }

    pub(super) fn mark_sent(&self, number: usize) {
        self.messages[number].flags.fetch_or(SENT, Relaxed);
        self.totals.sent.fetch_add(1, Relaxed);
    }

    /// False where this message was acknowledged before, or is not of this run.
    pub(super) fn mark_acknowledged(&self, plan: &Plan, number: usize) -> bool {
        let Some(state) = self.messages.get(number) else { return false };
        if state.flags.fetch_or(ACKNOWLEDGED, Relaxed) & ACKNOWLEDGED != 0 {
            return false;
        }
        self.totals.acknowledged.fetch_add(1, Relaxed);
        self.totals.owed.fetch_add(u64::from(plan.recipients(number)), Relaxed);
        true
    }

    pub(super) fn mark_refused(&self, number: usize) {
        if let Some(state) = self.messages.get(number) {
            state.flags.fetch_or(REFUSED, Relaxed);
        }
        self.totals.refused.fetch_add(1, Relaxed);
    }

    /// A message arrived somewhere under this seq.
    pub(super) fn mark_delivered(&self, number: usize, seq: u64) {
        let Some(state) = self.messages.get(number) else { return };
        state.deliveries.fetch_add(1, Relaxed);
        self.totals.delivered.fetch_add(1, Relaxed);
        let earlier = state.seq.compare_exchange(0, seq, Relaxed, Relaxed);
        if earlier.is_err_and(|earlier| earlier != seq) {
            self.totals.inconsistent.fetch_add(1, Relaxed);
        }
    }

    /// Whether nothing more is awaited: all that was sent is answered, and all that is owed has come.
    pub(super) fn is_settled(&self) -> bool {
        let totals = &self.totals;
        let answered = totals.acknowledged.load(Relaxed) + totals.refused.load(Relaxed);
        answered >= totals.sent.load(Relaxed) && totals.delivered.load(Relaxed) >= totals.owed.load(Relaxed)
    }

    pub(super) fn outcome(&self, plan: &Plan) -> Outcome {
        let mut outcome = Outcome::default();
        for (number, state) in self.messages.iter().enumerate() {
            let flags = state.flags.load(Relaxed);
            let delivered = state.deliveries.load(Relaxed);
            let recipients = plan.recipients(number);
            outcome.surplus_deliveries += u64::from(delivered.saturating_sub(recipients));
            if flags & ACKNOWLEDGED != 0 && flags & REFUSED == 0 && delivered < recipients {
                outcome.lost_messages += 1;
                outcome.lost_deliveries += u64::from(recipients - delivered);
            }
            outcome.unanswered += u64::from(flags & SENT != 0 && flags & (ACKNOWLEDGED | REFUSED) == 0);
        }
        outcome
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::open_loop::plan::tests::{options, pairs};

    #[test]
    fn tells_lost_from_unanswered() {
        let plan = Plan::new(&options(4, 2, 10.0), &pairs(4), 1).expect("a plan");
        let scoreboard = Scoreboard::new(plan.sends.len());
        for number in 0..4 {
            scoreboard.mark_sent(number);
        }
        for number in 0..3 {
            assert!(scoreboard.mark_acknowledged(&plan, number));
            assert!(!scoreboard.mark_acknowledged(&plan, number));
        }
        // 0 comes to both, 1 to one, 2 is refused after its ack, 3 stays without an answer and arrives once.
        scoreboard.mark_delivered(0, 1);
        scoreboard.mark_delivered(0, 1);
        scoreboard.mark_delivered(1, 2);
        scoreboard.mark_refused(2);
        scoreboard.mark_delivered(3, 3);
        let expected = Outcome { lost_deliveries: 1, lost_messages: 1, surplus_deliveries: 0, unanswered: 1 };
        assert_eq!(scoreboard.outcome(&plan), expected);
        assert!(!scoreboard.is_settled());
    }

    #[test]
    fn sees_surplus_and_inconsistent_seq() {
        let plan = Plan::new(&options(4, 2, 10.0), &pairs(4), 1).expect("a plan");
        let scoreboard = Scoreboard::new(plan.sends.len());
        scoreboard.mark_sent(0);
        scoreboard.mark_acknowledged(&plan, 0);
        for seq in [1, 1, 2] {
            scoreboard.mark_delivered(0, seq);
        }
        assert_eq!(scoreboard.outcome(&plan).surplus_deliveries, 1);
        assert_eq!(scoreboard.totals.inconsistent.load(Relaxed), 1);
    }
}
