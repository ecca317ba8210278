//! The checker, checked: correct histories pass, and every mutation of one is caught under the name of its fault.

mod changes;
mod cursors;
mod messages;
mod model;

use proptest::prelude::*;
use ringside_checker::history::{Event, History, Record};
use ringside_checker::{Fault, check};

use model::correct_history;

/// Seeds over which every mutation is tried; one that does not apply to one history applies to another.
const SEEDS: std::ops::Range<u64> = 1..25;

proptest! {
    #![proptest_config(ProptestConfig::with_cases(64))]
    #[test]
    fn correct_histories_pass(seed in any::<u64>()) {
        let verdict = check(&correct_history(seed));
        prop_assert!(verdict.holds(), "{}", verdict.violations[0]);
    }
}

#[test]
fn correct_histories_hold_evidence() {
    let counts = check(&correct_history(7)).counts;
    assert!(counts.messages > 50 && counts.attempts > counts.messages && counts.stored > 50, "{counts:?}");
    assert!(
        counts.live > 50 && counts.synced > 50 && counts.connections > 10 && counts.syncs > 5,
        "{counts:?}"
    );
}

/// Mutates histories of many seeds and expects the fault among the violations each time.
fn catches(fault: Fault, mutate: impl Fn(&mut History) -> Option<()>) {
    let mut mutated = 0;
    for seed in SEEDS {
        let mut history = correct_history(seed);
        if mutate(&mut history).is_none() {
            continue;
        }
        mutated += 1;
        let verdict = check(&history);
        let names: Vec<Fault> = verdict.violations.iter().map(|violation| violation.fault).collect();
        assert!(names.contains(&fault), "seed {seed}: expected {fault:?}, found {names:?}");
    }
    assert!(mutated >= 3, "the mutation for {fault:?} applied to {mutated} histories only");
}

/// All events of all clients that this picks, as (client, position in its records).
fn positions(history: &History, pick: impl Fn(&Event) -> bool) -> Vec<(usize, usize)> {
    let of_client = |(client, records): (usize, &Vec<Record>)| {
        let found = records.iter().enumerate().filter(|(_, record)| pick(&record.event));
        found.map(|(position, _)| (client, position)).collect::<Vec<_>>()
    };
    history.clients.iter().map(|client| &client.records).enumerate().flat_map(of_client).collect()
}

#[test]
fn time_outs_are_unknown() {
    let mut history = correct_history(3);
    // Without a single ack nothing is known to be stored but what was seen, and nothing is a violation.
    for client in &mut history.clients {
        client.records.retain(|record| !matches!(record.event, Event::Acked { .. }));
    }
    let verdict = check(&history);
    assert!(verdict.holds(), "{}", verdict.violations[0]);
    assert_eq!(verdict.counts.acknowledged, 0);
}
