//! A history as a sequence diagram in text: a column for each that takes part, an arrow from one to another, and what was
//! said beside it.

use std::collections::BTreeSet;
use std::time::Duration;

use ringside_types::ChannelId;

use crate::log::HEARTBEAT;
use crate::trace::{Lane, Step};
use crate::world::Outcome;

/// Steps that are drawn at the most, besides the faults: the last ones.
const STEPS_MAX: usize = 120;
/// Characters of a column.
const COLUMN: usize = 11;
/// Characters of what is said, at the most.
const TEXT_MAX: usize = 120;

/// Draws what led to the first thing that is wrong: steps about its channel and about none, up to the time at which it was
/// seen, and all faults.
pub fn draw(outcome: &Outcome) -> String {
    let first = outcome.verdict.violations.first();
    let end = first.and_then(|violation| violation.at_us).map_or(Duration::MAX, Duration::from_micros);
    let channel = first.and_then(|violation| violation.channel).map(ChannelId);
    let is_told = |step: &&Step| {
        let is_about = step.channel.is_none() || channel.is_none() || step.channel == channel;
        let is_idle = step.text.starts_with("presence") || step.text.starts_with(HEARTBEAT);
        step.at <= end && is_about && !is_idle
    };
    let told: Vec<&Step> = outcome.trace.iter().filter(is_told).collect();
    let from = told.len().saturating_sub(STEPS_MAX);
    let early = told[..from].iter().filter(|step| step.from == Lane::World);
    let drawn: Vec<&Step> = early.chain(&told[from..]).copied().collect();
    columns(&drawn)
}

fn columns(steps: &[&Step]) -> String {
    let lanes: BTreeSet<Lane> = steps.iter().flat_map(|step| [step.from, step.to]).collect();
    let lanes: Vec<Lane> = lanes.into_iter().collect();
    let mut out = format!("{:>10}  ", "ms");
    for lane in &lanes {
        out.push_str(&format!("{:^COLUMN$}", lane.to_string()));
    }
    // What one hands to another at once is one arrow.
    for steps in steps.chunk_by(|one, next| (one.at, one.from, one.to) == (next.at, next.from, next.to)) {
        out.push_str(&format!("\n{:>10.3}  ", steps[0].at.as_secs_f64() * 1_000.0));
        out.push_str(row(&lanes, steps[0]).trim_end());
        let texts: Vec<&str> = steps.iter().map(|step| step.text.as_str()).collect();
        let text = texts.join(", ");
        let shown: String = text.chars().take(TEXT_MAX).collect();
        out.push_str(&format!("  {shown}{}", if shown.len() < text.len() { " …" } else { "" }));
    }
    out.push('\n');
    out
}

/// The columns' lines, with the step's arrow.
fn row(lanes: &[Lane], step: &Step) -> String {
    let at = |lane: Lane| lanes.iter().position(|other| *other == lane).unwrap_or(0) * COLUMN + COLUMN / 2;
    let mut row = vec![' '; lanes.len() * COLUMN];
    for lane in lanes {
        row[at(*lane)] = '│';
    }
    let (from, to) = (at(step.from), at(step.to));
    row[from.min(to)..from.max(to)].fill('─');
    row[from] = '●';
    if to > from {
        row[to] = '▶';
    } else if to < from {
        row[to] = '◀';
    }
    row.into_iter().collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_arrow_goes_from_one_column_to_another() {
        let step = |at, from, to, text: &str| Step {
            at: Duration::from_millis(at),
            from,
            to,
            channel: None,
            text: text.into(),
        };
        let steps = [
            step(1, Lane::World, Lane::World, "kill edge 0"),
            step(20, Lane::Client(3), Lane::Log, "sends"),
            step(300, Lane::Log, Lane::Client(3), "sees"),
            step(300, Lane::Log, Lane::Client(3), "sees more"),
        ];
        let drawn = columns(&steps.iter().collect::<Vec<_>>());
        let expected = [
            "        ms     world    client 3      log    ",
            "     1.000       ●          │          │  kill edge 0",
            "    20.000       │          ●──────────▶  sends",
            "   300.000       │          ◀──────────●  sees, sees more",
            "",
        ];
        assert_eq!(drawn, expected.join("\n"));
    }
}
