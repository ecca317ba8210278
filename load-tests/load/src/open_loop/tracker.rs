//! What a worker makes of the frames that it reads: latencies from the due time, and the order on each connection.

use std::collections::{BTreeMap, BTreeSet, HashMap};
use std::sync::Arc;
use std::sync::atomic::Ordering::Relaxed;

use hdrhistogram::Histogram;

use super::plan::Plan;
use super::scan::{HotFrame, number_of, scan};
use super::scoreboard::Scoreboard;

/// Latencies above this are recorded as this, in µs.
pub(super) const MAX_LATENCY_US: u64 = 600_000_000;
/// Holes remembered per connection and channel; a server that makes more has failed anyway.
const MAX_HOLES: usize = 1024;
/// Texts of troubles kept for the report.
const MAX_TROUBLES: usize = 10;

pub(super) struct Tracker {
    plan: Arc<Plan>,
    scoreboard: Arc<Scoreboard>,
    pub ack_us: Histogram<u64>,
    pub delivery_us: Histogram<u64>,
    /// How late sends left: above a few ms the load itself is short of CPU.
    pub lag_us: Histogram<u64>,
    pub refusals: BTreeMap<String, u64>,
    pub troubles: Vec<String>,
    /// Last seq per (connection, channel).
    last_seq: HashMap<(u32, u32), u64, foldhash::fast::RandomState>,
    holes: HashMap<(u32, u32), BTreeSet<u64>>,
}

impl Tracker {
    pub(super) fn new(plan: Arc<Plan>, scoreboard: Arc<Scoreboard>) -> Self {
        let histogram =
            || Histogram::new_with_bounds(1, MAX_LATENCY_US, 3).expect("the bounds are constants");
        Self {
            plan,
            scoreboard,
            ack_us: histogram(),
            delivery_us: histogram(),
            lag_us: histogram(),
            refusals: BTreeMap::new(),
            troubles: Vec::new(),
            last_seq: HashMap::default(),
            holes: HashMap::new(),
        }
    }

    /// Takes a text message that `connection` read at `now_ns` of the plan's time. True for `hello`.
    pub(super) fn take(&mut self, connection: u32, text: &[u8], now_ns: u64) -> bool {
        match scan(text) {
            HotFrame::Hello => return true,
            HotFrame::Ack(key) => self.acknowledged(&key, now_ns),
            HotFrame::New { channel_id, client_id, seq } => {
                self.delivered(connection, &channel_id, &client_id, seq, now_ns);
            }
            HotFrame::Refused { key, code } => self.refused(&key, code),
            HotFrame::Trouble(text) => self.trouble(text),
            HotFrame::Other => {}
        }
        false
    }

    /// A message left at `now_ns` of the plan's time.
    pub(super) fn sent(&mut self, number: usize, now_ns: u64) {
        self.scoreboard.mark_sent(number);
        self.lag_us.saturating_record(now_ns.saturating_sub(self.plan.sends[number].due_ns) / 1000);
    }

    /// Something went wrong that belongs to no message.
    pub(super) fn trouble(&mut self, text: String) {
        self.scoreboard.totals.errors.fetch_add(1, Relaxed);
        if self.troubles.len() < MAX_TROUBLES {
            self.troubles.push(text);
        }
    }

    fn acknowledged(&mut self, key: &str, now_ns: u64) {
        let Some(number) = number_of(key, self.plan.run) else { return };
        if self.scoreboard.mark_acknowledged(&self.plan, number) && self.plan.is_measured(number) {
            self.ack_us.saturating_record(now_ns.saturating_sub(self.plan.sends[number].due_ns) / 1000);
        }
    }

    fn refused(&mut self, key: &str, code: String) {
        if let Some(number) = number_of(key, self.plan.run) {
            self.scoreboard.mark_refused(number);
        } else {
            self.scoreboard.totals.errors.fetch_add(1, Relaxed);
        }
        *self.refusals.entry(code).or_insert(0) += 1;
    }

    fn delivered(&mut self, connection: u32, channel_id: &str, client_id: &str, seq: u64, now_ns: u64) {
        let number = number_of(client_id, self.plan.run).filter(|&number| number < self.plan.sends.len());
        let Some(number) = number else {
            self.scoreboard.totals.foreign.fetch_add(1, Relaxed);
            return;
        };
        let send = self.plan.sends[number];
        if self.plan.channels[send.channel as usize].channel_id != channel_id {
            return self.trouble(format!("message {number} arrived in channel {channel_id}"));
        }
        if !self.advance(connection, send.channel, seq) {
            return;
        }
        self.scoreboard.mark_delivered(number, seq);
        if self.plan.is_measured(number) {
            self.delivery_us.saturating_record(now_ns.saturating_sub(send.due_ns) / 1000);
        }
    }

    /// Keeps the order of one connection and channel. False for a seq that was there before.
    fn advance(&mut self, connection: u32, channel: u32, seq: u64) -> bool {
        let place = (connection, channel);
        let totals = &self.scoreboard.totals;
        // The first message that a connection sees may have any seq; a missing one before it shows in the deliveries.
        let last = self.last_seq.entry(place).or_insert(seq.saturating_sub(1));
        if seq > *last {
            if seq > *last + 1 {
                let holes = self.holes.entry(place).or_default();
                let room = MAX_HOLES.saturating_sub(holes.len());
                totals.gaps.fetch_add(seq - *last - 1, Relaxed);
                holes.extend((*last + 1..seq).take(room));
            }
            *last = seq;
            return true;
        }
        let late = self.holes.get_mut(&place).is_some_and(|holes| holes.remove(&seq));
        if late {
            totals.gaps.fetch_sub(1, Relaxed);
            totals.reordered.fetch_add(1, Relaxed);
        } else {
            totals.doubled.fetch_add(1, Relaxed);
        }
        late
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::open_loop::plan::tests::{options, pairs};
    use crate::open_loop::scan::key;

    fn tracker() -> Tracker {
        let plan = Arc::new(Plan::new(&options(2, 1, 10.0), &pairs(2), 7).expect("a plan"));
        let scoreboard = Arc::new(Scoreboard::new(plan.sends.len()));
        Tracker::new(plan, scoreboard)
    }

    fn deliver(tracker: &mut Tracker, number: usize, seq: u64) {
        let channel = tracker.plan.channels[0].channel_id.clone();
        let key = key(7, number);
        tracker.delivered(0, &channel, &key, seq, tracker.plan.sends[number].due_ns + 5_000_000);
    }

    fn totals(tracker: &Tracker) -> (u64, u64, u64, u64) {
        let totals = &tracker.scoreboard.totals;
        (
            totals.delivered.load(Relaxed),
            totals.doubled.load(Relaxed),
            totals.reordered.load(Relaxed),
            totals.gaps.load(Relaxed),
        )
    }

    #[test]
    fn counts_latency_from_the_due_time() {
        let mut tracker = tracker();
        deliver(&mut tracker, 20, 100);
        assert_eq!(tracker.delivery_us.len(), 1);
        assert!((4990..=5010).contains(&tracker.delivery_us.max()), "{}", tracker.delivery_us.max());
        // Warm-up is delivered, not measured.
        deliver(&mut tracker, 0, 101);
        assert_eq!((tracker.delivery_us.len(), totals(&tracker).0), (1, 2));
    }

    #[test]
    fn sees_doubled_reordered_and_holes() {
        let mut tracker = tracker();
        for (number, seq) in [(0, 10), (1, 11), (1, 11)] {
            deliver(&mut tracker, number, seq);
        }
        assert_eq!(totals(&tracker), (2, 1, 0, 0));
        deliver(&mut tracker, 3, 13);
        assert_eq!(totals(&tracker), (3, 1, 0, 1));
        deliver(&mut tracker, 2, 12);
        assert_eq!(totals(&tracker), (4, 1, 1, 0));
    }

    #[test]
    fn messages_of_other_runs_are_not_counted() {
        let mut tracker = tracker();
        tracker.delivered(0, "elsewhere", &key(8, 1), 1, 0);
        assert_eq!(tracker.scoreboard.totals.foreign.load(Relaxed), 1);
        tracker.delivered(0, "elsewhere", &key(7, 1), 1, 0);
        assert_eq!(tracker.scoreboard.totals.errors.load(Relaxed), 1);
    }
}
