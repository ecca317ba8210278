//! A few seeds; `./check` runs hundreds.

use ringside_simulation::{Outcome, Scale, run};

#[test]
fn a_seed_does_the_same_again() {
    let outcomes = [3, 3, 4].map(|seed| run(seed, Scale::default(), true));
    let lines = |outcome: &Outcome| outcome.trace.iter().map(ToString::to_string).collect::<Vec<_>>();
    assert_eq!(lines(&outcomes[0]), lines(&outcomes[1]));
    assert_eq!(outcomes[0].hash, outcomes[1].hash);
    assert_ne!(outcomes[0].hash, outcomes[2].hash);
}

/// 8: an edge that had stood still served a new connection what it had not read yet. 156: a guest read on after they were
/// removed, while a partition lagged.
#[test]
fn seeds_that_failed_once_hold() {
    for seed in [8, 156] {
        let outcome = run(seed, Scale::default(), false);
        assert!(outcome.holds(), "{outcome:?}");
    }
}
