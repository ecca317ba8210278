//! From a seed that fails to a short history that fails in the same way: shorter, with fewer faults, clients, channels and edges.
//!
//! What is taken out changes the draws that follow, so each smaller case is tried under several seeds. It is a search by luck
//! within a bound of runs, not the smallest case that there is.

use std::collections::BTreeSet;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::time::Duration;

use crate::plan::Plan;
use crate::world::{Outcome, Scale, plan, run_plan};

/// Runs of one search at the most.
const RUNS_MAX: u32 = 1_500;
/// So many seeds are tried for one case.
const SEEDS: u64 = 16;
/// Faults and sending go on for so long after what is wrong was seen.
const AFTERWARDS: Duration = Duration::from_millis(500);
/// Clients slower than this do too little to fail.
const PAUSE_MAX: Duration = Duration::from_secs(3);

/// All that a run depends on.
#[derive(Clone, Debug)]
pub struct Case {
    pub seed: u64,
    pub scale: Scale,
    pub plan: Plan,
}

impl Case {
    /// A seed with its own faults.
    pub fn of(seed: u64, scale: Scale) -> Self {
        Self { seed, scale, plan: plan(seed, &scale) }
    }

    /// Runs it with its steps; `None`: it ends with a panic.
    pub fn run(&self) -> Option<Outcome> {
        catch_unwind(AssertUnwindSafe(|| run_plan(self.seed, self.scale, &self.plan, true))).ok()
    }

    /// How to run it again.
    pub fn command(&self) -> String {
        let Scale { users, guests, channels, edges, disturbed, pause } = self.scale;
        format!(
            "ringside-sim --seed {} --users {users} --guests {guests} --channels {channels} --edges {edges} --disturbed-ms {} \
             --pause-ms {} --faults '{}' --trace",
            self.seed,
            disturbed.as_millis(),
            pause.as_millis(),
            self.plan
        )
    }
}

/// The smallest case that was found to fail as this one does; `None`: this one does not fail.
pub fn shrink(case: Case) -> Option<Case> {
    let signs = signs(&case);
    if signs.is_empty() {
        return None;
    }
    let mut search = Search { best: case, signs, runs: 0 };
    loop {
        let found = [Search::shorten, Search::drop_faults, Search::make_smaller, Search::slow_down]
            .map(|pass| pass(&mut search));
        if !found.contains(&true) || search.runs >= RUNS_MAX {
            return Some(search.best);
        }
    }
}

/// In which ways a case fails.
fn signs(case: &Case) -> BTreeSet<String> {
    let Some(outcome) = case.run() else { return BTreeSet::from(["a panic".to_owned()]) };
    let mut signs: BTreeSet<String> =
        outcome.verdict.faults.keys().map(|fault| format!("{fault:?}")).collect();
    if signs.is_empty() && !outcome.broken.is_empty() {
        signs.insert("no client sees it".into());
    }
    signs
}

fn whole_ms(time: Duration) -> Duration {
    Duration::from_millis(u64::try_from(time.as_millis()).unwrap_or(u64::MAX))
}

struct Search {
    best: Case,
    signs: BTreeSet<String>,
    runs: u32,
}

impl Search {
    /// Takes a case in place of the best one, if it fails in the same way under any of a few seeds.
    fn takes(&mut self, case: &Case) -> bool {
        for number in 0..SEEDS {
            if self.runs >= RUNS_MAX {
                return false;
            }
            self.runs += 1;
            let case = Case { seed: case.seed.wrapping_add(number), ..case.clone() };
            if !signs(&case).is_disjoint(&self.signs) {
                self.best = case;
                return true;
            }
        }
        false
    }

    fn shorten(&mut self) -> bool {
        let mut found = false;
        loop {
            let disturbed = self.best.scale.disturbed;
            let seen = self.best.run().and_then(|outcome| {
                let at_us =
                    outcome.verdict.violations.iter().filter_map(|violation| violation.at_us).min()?;
                Duration::from_micros(at_us).checked_sub(outcome.began).map(|at| at + AFTERWARDS)
            });
            // Whole milliseconds, as the command has them: the history is to be had again bit for bit.
            let shorter = whole_ms(seen.unwrap_or(disturbed).min(disturbed * 3 / 4));
            let mut case = self.best.clone();
            case.scale.disturbed = shorter;
            case.plan.0.retain(|(at, _)| *at < shorter);
            if shorter < AFTERWARDS || !self.takes(&case) {
                return found;
            }
            found = true;
        }
    }

    /// Takes out halves, quarters, … and at last single faults.
    fn drop_faults(&mut self) -> bool {
        let mut found = false;
        let mut size = self.best.plan.0.len();
        while size > 0 {
            let mut from = 0;
            while from < self.best.plan.0.len() {
                let mut case = self.best.clone();
                let to = (from + size).min(case.plan.0.len());
                case.plan.0.drain(from..to);
                if self.takes(&case) {
                    found = true;
                } else {
                    from = to;
                }
            }
            size /= 2;
        }
        found
    }

    fn make_smaller(&mut self) -> bool {
        let mut found = false;
        let smaller: [fn(&mut Scale); 4] = [
            |scale| scale.guests = scale.guests.saturating_sub(1),
            |scale| scale.channels = (scale.channels - 1).max(1),
            |scale| scale.users = (scale.users - 1).max(1),
            |scale| scale.edges = (scale.edges - 1).max(1),
        ];
        for make in smaller {
            loop {
                let mut case = self.best.clone();
                make(&mut case.scale);
                if case.scale == self.best.scale || !self.takes(&case) {
                    break;
                }
                found = true;
            }
        }
        found
    }

    /// Clients that do less.
    fn slow_down(&mut self) -> bool {
        let mut found = false;
        loop {
            let mut case = self.best.clone();
            case.scale.pause *= 2;
            if case.scale.pause > PAUSE_MAX || !self.takes(&case) {
                return found;
            }
            found = true;
        }
    }
}
