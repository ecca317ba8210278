//! The results of a run, for people and for scripts.

use std::collections::BTreeMap;
use std::fmt;
use std::sync::atomic::Ordering::Relaxed;

use hdrhistogram::Histogram;
use serde::Serialize;

use super::scoreboard::{Outcome, Scoreboard};

/// A distribution, in ms.
#[derive(Clone, Copy, Debug, Default, Serialize)]
pub struct Latency {
    /// How many were measured.
    pub count: u64,
    pub p50_ms: f64,
    pub p99_ms: f64,
    pub p999_ms: f64,
    pub max_ms: f64,
}

impl Latency {
    pub(super) fn of(histogram: &Histogram<u64>) -> Self {
        let at = |quantile: f64| histogram.value_at_quantile(quantile) as f64 / 1000.0;
        Self {
            count: histogram.len(),
            p50_ms: at(0.5),
            p99_ms: at(0.99),
            p999_ms: at(0.999),
            max_ms: histogram.max() as f64 / 1000.0,
        }
    }
}

impl fmt::Display for Latency {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { count, p50_ms, p99_ms, p999_ms, max_ms } = self;
        write!(f, "p50 {p50_ms:.2} ms, p99 {p99_ms:.2}, p99.9 {p999_ms:.2}, max {max_ms:.2} ({count})")
    }
}

/// What `ringside-load run` prints.
#[derive(Clone, Debug, Default, Serialize)]
pub struct LoadReport {
    /// Connections that were opened.
    pub connections: u64,
    pub channels: u64,
    /// Messages a second that were asked for.
    pub rate_asked: f64,
    /// Messages a second acknowledged in the measured time.
    pub rate_acknowledged: f64,
    /// Deliveries a second in the measured time.
    pub rate_delivered: f64,
    /// Seconds measured.
    pub measured_s: f64,
    /// From due to `message.ack`.
    pub ack: Latency,
    /// From due to `message.new`, at every recipient.
    pub delivery: Latency,
    /// How late the load itself sent; when this is not small, the load was short of CPU.
    pub send_lag: Latency,
    /// Messages sent, warm-up included.
    pub sent: u64,
    pub acknowledged: u64,
    /// `message.new` read.
    pub delivered: u64,
    /// Sent without any answer: whether they were stored is unknown.
    pub unanswered: u64,
    /// Acknowledged messages that somebody did not get.
    pub lost_messages: u64,
    /// The deliveries missing for those.
    pub lost_deliveries: u64,
    /// Deliveries beyond one a connection, or a seq that was there before.
    pub doubled: u64,
    /// Deliveries after a later one.
    pub reordered: u64,
    /// Holes in seq that were never filled.
    pub gaps: u64,
    /// Messages that had two seqs.
    pub inconsistent: u64,
    /// Answers that refuse a message, by code.
    pub refusals: BTreeMap<String, u64>,
    /// Connections that ended early.
    pub dropped_connections: u64,
    /// Frames that make no sense, goodbyes, refusals without an id.
    pub errors: u64,
    /// The first of those, in words.
    pub troubles: Vec<String>,
    /// Messages of other runs that came along; not counted as faults.
    pub foreign: u64,
    /// Frames per read: how much the server coalesces.
    pub frames_per_read: f64,
    /// CPU µs of this process per delivered message, in the measured time.
    pub load_cpu_us_per_delivery: f64,
    /// CPU µs of the server per delivered message, in the measured time.
    pub server_cpu_us_per_delivery: Option<f64>,
    /// Cores that the server kept busy.
    pub server_cores: Option<f64>,
}

impl LoadReport {
    /// Takes over the totals and the outcome of the messages.
    pub(super) fn count(&mut self, scoreboard: &Scoreboard, outcome: Outcome) {
        let totals = &scoreboard.totals;
        self.sent = totals.sent.load(Relaxed);
        self.acknowledged = totals.acknowledged.load(Relaxed);
        self.delivered = totals.delivered.load(Relaxed);
        self.unanswered = outcome.unanswered;
        self.lost_messages = outcome.lost_messages;
        self.lost_deliveries = outcome.lost_deliveries;
        self.doubled = totals.doubled.load(Relaxed).max(outcome.surplus_deliveries);
        self.reordered = totals.reordered.load(Relaxed);
        self.gaps = totals.gaps.load(Relaxed);
        self.inconsistent = totals.inconsistent.load(Relaxed);
        self.dropped_connections = totals.dropped.load(Relaxed);
        self.errors = totals.errors.load(Relaxed);
        self.foreign = totals.foreign.load(Relaxed);
        self.frames_per_read = totals.frames.load(Relaxed) as f64 / totals.reads.load(Relaxed).max(1) as f64;
    }

    /// Whether nothing was lost, doubled, reordered, refused or cut off. What was not answered is unknown, and not clean
    /// either when nothing was answered at all.
    pub fn is_clean(&self) -> bool {
        let faults = self.lost_messages
            + self.doubled
            + self.reordered
            + self.gaps
            + self.inconsistent
            + self.dropped_connections
            + self.errors;
        faults == 0 && self.refusals.is_empty() && self.acknowledged > 0
    }
}

impl fmt::Display for LoadReport {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        writeln!(
            f,
            "{} connections, {} channels, {:.0} messages/s asked",
            self.connections, self.channels, self.rate_asked
        )?;
        writeln!(
            f,
            "reached     {:.0} acknowledged/s, {:.0} deliveries/s over {:.1} s",
            self.rate_acknowledged, self.rate_delivered, self.measured_s
        )?;
        writeln!(f, "ack         {}", self.ack)?;
        writeln!(f, "delivery    {}", self.delivery)?;
        writeln!(f, "send lag    {}", self.send_lag)?;
        write!(f, "cpu         {:.1} µs per delivery here", self.load_cpu_us_per_delivery)?;
        if let (Some(cpu), Some(cores)) = (self.server_cpu_us_per_delivery, self.server_cores) {
            write!(f, ", {cpu:.1} µs at the server ({cores:.2} cores)")?;
        }
        writeln!(f, "; {:.1} frames a read", self.frames_per_read)?;
        writeln!(
            f,
            "messages    {} sent, {} acknowledged, {} delivered, {} unanswered",
            self.sent, self.acknowledged, self.delivered, self.unanswered
        )?;
        writeln!(
            f,
            "faults      {} lost ({} deliveries), {} doubled, {} reordered, {} holes, {} inconsistent",
            self.lost_messages,
            self.lost_deliveries,
            self.doubled,
            self.reordered,
            self.gaps,
            self.inconsistent
        )?;
        writeln!(
            f,
            "trouble     {} connections dropped, {} errors, refusals {:?}",
            self.dropped_connections, self.errors, self.refusals
        )?;
        for trouble in &self.troubles {
            writeln!(f, "            {trouble}")?;
        }
        write!(f, "{}", if self.is_clean() { "CLEAN" } else { "NOT CLEAN" })
    }
}
