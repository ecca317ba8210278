//! What was measured, by the kind of eviction.

use std::fmt;
use std::time::{Duration, Instant};

use ringside_test_client::eviction::Eviction;
use ringside_test_client::percentile::percentile;

/// The contract's bound: no event later than this after the answer.
pub const SILENT_WITHIN: Duration = Duration::from_secs(2);

/// What one socket saw of its eviction.
pub(super) struct Measured {
    pub eviction: Eviction,
    pub answered: Option<Instant>,
    pub last_event: Option<Instant>,
    pub closed: Option<(Instant, Option<u16>)>,
}

/// What all sockets saw.
#[derive(Debug, Default)]
pub struct SilenceReport {
    rows: Vec<Row>,
    /// Sockets of ended sessions that were not closed with 4009.
    wrongly_closed: usize,
    /// Sockets that had an event more than two seconds after the answer.
    too_late: usize,
    /// Sockets that never had an event: they prove nothing.
    silent_from_the_start: usize,
}

#[derive(Debug)]
struct Row {
    eviction: Eviction,
    what: &'static str,
    /// Milliseconds after the answer; negative: before it.
    times_ms: Vec<f64>,
}

fn after_ms(answered: Instant, moment: Instant) -> f64 {
    let after = moment.saturating_duration_since(answered).as_secs_f64();
    let before = answered.saturating_duration_since(moment).as_secs_f64();
    (after - before) * 1000.0
}

impl SilenceReport {
    pub(super) fn of(all: &[Measured]) -> Self {
        let mut report = Self::default();
        for eviction in Eviction::ALL {
            let of_way = || all.iter().filter(move |measured| measured.eviction == eviction);
            let last = of_way().filter_map(|m| Some(after_ms(m.answered?, m.last_event?))).collect();
            let closed = of_way().filter_map(|m| Some(after_ms(m.answered?, m.closed?.0))).collect();
            report.rows.push(Row { eviction, what: "last event", times_ms: last });
            if eviction != Eviction::Removed {
                report.rows.push(Row { eviction, what: "close", times_ms: closed });
                report.wrongly_closed +=
                    of_way().filter(|m| m.closed.is_none_or(|(_, code)| code != Some(4009))).count();
            }
        }
        let is_late = |m: &&Measured| {
            m.answered.zip(m.last_event).is_some_and(|(a, e)| e.saturating_duration_since(a) > SILENT_WITHIN)
        };
        report.too_late = all.iter().filter(is_late).count();
        report.silent_from_the_start = all.iter().filter(|m| m.last_event.is_none()).count();
        report.rows.iter_mut().for_each(|row| row.times_ms.sort_by(f64::total_cmp));
        report
    }

    /// Whether the contract was kept, and there was something to see.
    pub fn is_clean(&self) -> bool {
        self.wrongly_closed == 0 && self.too_late == 0 && self.silent_from_the_start == 0
    }
}

impl fmt::Display for SilenceReport {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        writeln!(f, "ms after the answer (negative: before it)   sockets      p50      p99      max")?;
        for row in &self.rows {
            writeln!(
                f,
                "{:32} {:16} {:9.1} {:8.1} {:8.1}",
                format!("{:?}, {}", row.eviction, row.what),
                row.times_ms.len(),
                percentile(&row.times_ms, 0.5),
                percentile(&row.times_ms, 0.99),
                percentile(&row.times_ms, 1.0)
            )?;
        }
        write!(
            f,
            "{} later than {} s; {} not closed with 4009; {} never had an event",
            self.too_late,
            SILENT_WITHIN.as_secs(),
            self.wrongly_closed,
            self.silent_from_the_start
        )
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn late_events_and_other_codes_are_counted() {
        let answered = Instant::now() + Duration::from_secs(100);
        let measured = |last_ms: u64, code| Measured {
            eviction: Eviction::Logout,
            answered: Some(answered),
            last_event: Some(answered + Duration::from_millis(last_ms)),
            closed: Some((answered, code)),
        };
        assert!(SilenceReport::of(&[measured(1990, Some(4009))]).is_clean());
        assert_eq!(SilenceReport::of(&[measured(2010, Some(4009))]).too_late, 1);
        assert_eq!(SilenceReport::of(&[measured(0, Some(1000)), measured(0, None)]).wrongly_closed, 2);
        let early = after_ms(answered, answered - Duration::from_millis(5));
        assert!((early + 5.0).abs() < 0.01);
    }
}
