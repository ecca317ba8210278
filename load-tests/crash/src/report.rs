//! What the crash test found, for people.

use std::fmt;
use std::path::PathBuf;
use std::time::Duration;

use ringside_checker::Verdict;
use ringside_test_client::eviction::Eviction;

/// What the crash test found.
#[derive(Debug)]
pub struct CrashReport {
    /// Repeats the decisions of the run.
    pub seed: u64,
    /// What the checker found.
    pub verdict: Verdict,
    /// How often the server was killed.
    pub kills: u32,
    /// The slowest restart until `/ready`.
    pub slowest_ready: Duration,
    /// Clients that did not come to a last `sync.done`.
    pub unsettled: usize,
    /// Whether SIGTERM ended the server with 0 at the end.
    pub drained: bool,
    /// Where the histories are, if they were kept.
    pub histories: Option<PathBuf>,
}

impl CrashReport {
    /// Whether the server passed.
    pub fn is_clean(&self) -> bool {
        self.verdict.holds() && self.unsettled == 0 && self.drained && self.verdict.counts.stored > 0
    }
}

impl fmt::Display for CrashReport {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let counts = &self.verdict.counts;
        writeln!(
            f,
            "{} messages in {} attempts: {} acknowledged, {} stored, {} unknown; {} live, {} synced in {} syncs, {} resets; {} connections",
            counts.messages,
            counts.attempts,
            counts.acknowledged,
            counts.stored,
            counts.unknown,
            counts.live,
            counts.synced,
            counts.syncs,
            counts.resets,
            counts.connections
        )?;
        writeln!(f, "{} amendments asked for, {} changes in the end", counts.amendments, counts.changes)?;
        let ways = Eviction::ALL
            .iter()
            .zip(counts.evictions)
            .map(|(eviction, times)| format!("{eviction:?} {times}"));
        writeln!(f, "guests shut out, times: {}", ways.collect::<Vec<_>>().join(", "))?;
        writeln!(
            f,
            "{} receipts; {} cursors told, {} unread counts counted anew",
            counts.receipts, counts.cursors, counts.unread
        )?;
        writeln!(
            f,
            "{} kills, slowest restart {:.2} s until ready",
            self.kills,
            self.slowest_ready.as_secs_f64()
        )?;
        for violation in &self.verdict.violations {
            writeln!(f, "VIOLATION {violation}")?;
        }
        if !self.verdict.holds() {
            writeln!(f, "in all: {:?}", self.verdict.faults)?;
        }
        if self.unsettled > 0 {
            writeln!(f, "{} clients never came to a last sync.done", self.unsettled)?;
        }
        if !self.drained {
            writeln!(f, "SIGTERM did not end the server with 0")?;
        }
        if let Some(path) = &self.histories {
            writeln!(f, "histories: {}", path.display())?;
        }
        write!(f, "seed {}: {}", self.seed, if self.is_clean() { "every invariant holds" } else { "BROKEN" })
    }
}
