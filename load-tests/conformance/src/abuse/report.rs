//! The table, a row an attack, as it stands in `docs/abuse.md`.

use std::fmt::Write as _;

use super::measurements::high_percentiles;
use super::outcome::AttackOutcome;

/// The two lines above the rows.
pub(super) const HEAD: &str = "\
| attack | sent | ack, ms | delivery, ms | REST, ms | RSS, MiB | verdict |
|---|--:|--:|--:|--:|--:|---|";

/// An attack's line of the table, as Markdown.
pub(super) fn row(outcome: &AttackOutcome, faults: &[String]) -> String {
    let AttackOutcome { name, sent, quiet, under, resident, .. } = outcome;
    let mut row = format!("| {name} | {sent} |");
    let kinds =
        [(&quiet.acks, &under.acks), (&quiet.deliveries, &under.deliveries), (&quiet.rest, &under.rest)];
    for (before, during) in kinds {
        let (usual, now) = high_percentiles(before, during);
        let _ = write!(row, " {usual:.0} → {now:.0} |");
    }
    let [before, peak, after] = resident.map(|bytes| bytes >> 20);
    let result =
        if faults.is_empty() { "holds".to_owned() } else { format!("**FAILED**: {}", faults.join("; ")) };
    let _ = write!(row, " {before}, {peak}, {after} | {result} |");
    row
}
