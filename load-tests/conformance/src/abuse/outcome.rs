//! What is held against the server after an attack.

use super::measurements::{Measurements, high_percentiles};

/// Honest users may wait so many times as long as without the attack.
const SLOWER_AT_MOST: f64 = 3.0;
/// And the server may take so many times its memory.
const LARGER_AT_MOST: u64 = 2;
/// Growth below it does not count: a small process doubles for little.
const GROWTH_FLOOR: u64 = 64 << 20;

/// One attack, with the times around it.
#[derive(Clone, Debug)]
pub(super) struct AttackOutcome {
    pub name: String,
    /// Frames, requests and connections of the attackers.
    pub sent: u64,
    pub quiet: Measurements,
    pub under: Measurements,
    /// From one second after the end.
    pub after: Measurements,
    /// Resident bytes before it, at the highest, and in the end.
    pub resident: [u64; 3],
    /// A sign-in one second after the end.
    pub sign_in: Result<(), String>,
}

impl AttackOutcome {
    /// What the server did not hold; nothing when it held. Times below the floor do not count.
    pub(super) fn faults(&self, floor_ms: f64) -> Vec<String> {
        let mut faults = Vec::new();
        if self.sent == 0 {
            faults.push("nothing was sent, so it proves nothing".to_owned());
        }
        self.compare_times("under", &self.under, floor_ms, &mut faults);
        self.compare_times("after", &self.after, floor_ms, &mut faults);
        for (when, measurements) in [("before", &self.quiet), ("under", &self.under), ("after", &self.after)]
        {
            faults
                .extend(measurements.failures.iter().map(|(why, times)| format!("{when}: {times} × {why}")));
        }
        let [before, peak, _] = self.resident;
        if peak > (before * LARGER_AT_MOST).max(before + GROWTH_FLOOR) {
            faults.push(format!("RSS from {} to {} MiB", before >> 20, peak >> 20));
        }
        if let Err(why) = &self.sign_in {
            faults.push(format!("sign-in after it: {why}"));
        }
        faults
    }

    fn compare_times(
        &self,
        when: &str,
        measurements: &Measurements,
        floor_ms: f64,
        faults: &mut Vec<String>,
    ) {
        let kinds = [
            ("ack", &self.quiet.acks, &measurements.acks),
            ("delivery", &self.quiet.deliveries, &measurements.deliveries),
            ("REST", &self.quiet.rest, &measurements.rest),
        ];
        for (kind, quiet, times) in kinds {
            let (usual, now) = high_percentiles(quiet, times);
            if usual.is_nan() || now.is_nan() {
                faults.push(format!("{when}: no {kind} was measured"));
            } else if now > (usual * SLOWER_AT_MOST).max(floor_ms) {
                faults.push(format!("{when}: {kind} {now:.0} ms, {usual:.0} without"));
            }
        }
        let missing = measurements.acks.len().saturating_sub(measurements.deliveries.len());
        if missing > 0 {
            faults.push(format!("{when}: {missing} acknowledged messages not delivered in time"));
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn measurements(ms: f64) -> Measurements {
        Measurements {
            acks: vec![ms; 50],
            deliveries: vec![ms; 50],
            rest: vec![ms; 50],
            ..Measurements::default()
        }
    }

    fn held() -> AttackOutcome {
        AttackOutcome {
            name: "x".to_owned(),
            sent: 1,
            quiet: measurements(20.0),
            under: measurements(59.0),
            after: measurements(20.0),
            resident: [100 << 20, 190 << 20, 100 << 20],
            sign_in: Ok(()),
        }
    }

    fn check(fault: &str, change: impl FnOnce(&mut AttackOutcome)) {
        let mut outcome = held();
        change(&mut outcome);
        let faults = outcome.faults(30.0);
        assert!(faults.len() == 1 && faults[0].contains(fault), "{fault:?} expected, not {faults:?}");
    }

    #[test]
    fn what_is_held_has_no_fault() {
        assert_eq!(held().faults(30.0), Vec::<String>::new());
        // Ten times as slow, and below the floor.
        let fast = AttackOutcome {
            quiet: measurements(2.0),
            under: measurements(29.0),
            after: measurements(2.0),
            ..held()
        };
        assert!(fast.faults(30.0).is_empty());
        // Four times as large, and below the floor.
        let small = AttackOutcome { resident: [20 << 20, 80 << 20, 0], ..held() };
        assert!(small.faults(30.0).is_empty());
    }

    #[test]
    fn each_fault_is_named() {
        check("under: ack 61 ms", |it| it.under.acks = vec![61.0; 50]);
        check("under: delivery 61 ms", |it| it.under.deliveries = vec![61.0; 50]);
        check("under: REST 61 ms", |it| it.under.rest = vec![61.0; 50]);
        check("after: ack 61 ms", |it| it.after.acks = vec![61.0; 50]);
        check("after: no REST", |it| it.after.rest.clear());
        check("2 acknowledged", |it| it.under.deliveries.truncate(48));
        check("RSS from 100 to 201", |it| it.resident[1] = 201 << 20);
        check("3 × refused", |it| {
            it.under.failures.insert("refused".to_owned(), 3);
        });
        check("sign-in", |it| it.sign_in = Err("status 503".to_owned()));
        check("nothing was sent", |it| it.sent = 0);
    }
}
