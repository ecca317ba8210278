//! What becomes of groups of charges, by what their buckets said: arithmetic without a server.

use std::collections::HashMap;

use ringside_ports::presence::{Charge, JointDecision, RateDecision};

/// Parts of a token, as the scripts count.
const PARTS_PER_TOKEN: u64 = 60_000;

/// What a bucket said when it was asked for all that a batch wants of it.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) enum Taken {
    /// There is no limit.
    Unlimited,
    /// It gave all.
    Whole,
    /// It gave nothing.
    Nothing {
        /// Which bucket.
        bucket: usize,
        /// What it held, in parts of a token.
        parts: u64,
    },
}

/// The decisions, and what is to be done so that they hold. Charges are numbered through all groups.
#[derive(Debug, Default, PartialEq)]
pub(super) struct Plan {
    pub(super) decisions: Vec<JointDecision>,
    /// Charges that were given their tokens, and whose group is refused.
    pub(super) gives_back: Vec<usize>,
    /// Charges that were not given their tokens yet, and whose group passes.
    pub(super) takes: Vec<usize>,
    /// Where each group's charges begin.
    starts: Vec<usize>,
}

impl Plan {
    pub(super) fn of(groups: &[Vec<Charge>], taken: &[Taken]) -> Self {
        let mut levels: HashMap<usize, u64> = HashMap::new();
        let mut plan = Self::default();
        let mut start = 0;
        for group in groups {
            let of_group = &taken[start..start + group.len()];
            let decision = decide(group, of_group, &mut levels);
            let is_granted = decision == JointDecision::Granted;
            for (at, taken) in of_group.iter().enumerate() {
                match taken {
                    Taken::Whole if !is_granted => plan.gives_back.push(start + at),
                    Taken::Nothing { .. } if is_granted => plan.takes.push(start + at),
                    _ => {}
                }
            }
            plan.starts.push(start);
            plan.decisions.push(decision);
            start += group.len();
        }
        plan
    }

    /// The decisions after the late charges were decided, each at its place; and what has to be given back for it.
    pub(super) fn after(
        self,
        groups: &[Vec<Charge>],
        late: &[RateDecision],
    ) -> (Vec<JointDecision>, Vec<usize>) {
        let mut back = Vec::new();
        let decide = |((planned, start), group): ((JointDecision, usize), &Vec<Charge>)| {
            let of_group = &late[start..start + group.len()];
            match longest_wait(of_group.iter().copied()) {
                Some((retry_after_ms, charge)) if planned == JointDecision::Granted => {
                    let granted = of_group.iter().enumerate().filter(|(_, late)| is_granted(late));
                    back.extend(granted.map(|(at, _)| start + at));
                    JointDecision::Refused { charge, retry_after_ms }
                }
                _ => planned,
            }
        };
        let decisions = self.decisions.into_iter().zip(self.starts).zip(groups).map(decide).collect();
        (decisions, back)
    }
}

/// One group, by the levels that are left; they are as before if it is refused.
fn decide(group: &[Charge], taken: &[Taken], levels: &mut HashMap<usize, u64>) -> JointDecision {
    let mut spent: Vec<(usize, u64)> = Vec::new();
    let mut decisions = Vec::with_capacity(group.len());
    for (Charge { rate, tokens, .. }, taken) in group.iter().zip(taken) {
        let Taken::Nothing { bucket, parts } = taken else {
            decisions.push(RateDecision::Granted { remaining: 0 });
            continue;
        };
        let level = levels.entry(*bucket).or_insert(*parts);
        let wanted = u64::from(*tokens) * PARTS_PER_TOKEN;
        if let Some(left) = level.checked_sub(wanted) {
            *level = left;
            spent.push((*bucket, wanted));
            decisions.push(RateDecision::Granted { remaining: 0 });
        } else {
            // Charges without a limit are not asked of a bucket, so the rate is not 0.
            let retry_after_ms = (wanted - *level).div_ceil(u64::from(rate.per_minute.max(1)));
            decisions.push(RateDecision::Refused { retry_after_ms });
        }
    }
    let Some((retry_after_ms, charge)) = longest_wait(decisions.into_iter()) else {
        return JointDecision::Granted;
    };
    for (bucket, parts) in spent {
        levels.entry(bucket).and_modify(|level| *level += parts);
    }
    JointDecision::Refused { charge, retry_after_ms }
}

fn is_granted(decision: &RateDecision) -> bool {
    matches!(decision, RateDecision::Granted { .. })
}

/// The longest wait, and whose it is.
fn longest_wait(decisions: impl Iterator<Item = RateDecision>) -> Option<(u64, usize)> {
    let wait = |(at, decision)| match decision {
        RateDecision::Granted { .. } => None,
        RateDecision::Refused { retry_after_ms } => Some((retry_after_ms, at)),
    };
    decisions.enumerate().filter_map(wait).max()
}

#[cfg(test)]
mod tests {
    use super::*;
    use ringside_ports::presence::{Account, Rate};
    use ringside_types::UserId;
    use uuid::Uuid;

    const RATE: Rate = Rate { per_minute: 60, burst: 10 };
    const GRANTED: RateDecision = RateDecision::Granted { remaining: 3 };
    const REFUSED: RateDecision = RateDecision::Refused { retry_after_ms: 7 };

    fn charge(tokens: u32) -> Charge {
        Charge { account: Account::UserMessages(UserId(Uuid::nil())), rate: RATE, tokens }
    }

    fn short(bucket: usize, tokens: u64) -> Taken {
        Taken::Nothing { bucket, parts: tokens * PARTS_PER_TOKEN }
    }

    #[test]
    fn what_all_buckets_gave_is_granted_at_once() {
        let plan = Plan::of(&[vec![charge(1), charge(1)], vec![]], &[Taken::Whole, Taken::Unlimited]);
        assert_eq!(plan.decisions, [JointDecision::Granted, JointDecision::Granted]);
        assert_eq!((plan.gives_back, plan.takes), (vec![], vec![]));
    }

    #[test]
    fn what_a_refused_group_did_not_need_is_there_for_the_next() {
        // Bucket 0 holds three tokens, bucket 1 none.
        let groups = [vec![charge(3), charge(1)], vec![charge(2)], vec![charge(2)]];
        let plan = Plan::of(&groups, &[short(0, 3), short(1, 0), short(0, 3), short(0, 3)]);
        let refused = |charge, retry_after_ms| JointDecision::Refused { charge, retry_after_ms };
        assert_eq!(plan.decisions, [refused(1, 1_000), JointDecision::Granted, refused(0, 1_000)]);
        assert_eq!((plan.gives_back, plan.takes), (vec![], vec![2]));
    }

    #[test]
    fn a_group_that_comes_too_late_gives_the_rest_back() {
        let groups = [vec![charge(1), charge(1), charge(1)], vec![charge(1)]];
        let taken = [Taken::Whole, short(0, 2), short(1, 1), short(0, 2)];
        let plan = Plan::of(&groups, &taken);
        assert_eq!((plan.gives_back.as_slice(), plan.takes.as_slice()), (&[][..], &[1, 2, 3][..]));
        let (decisions, back) = plan.after(&groups, &[GRANTED, GRANTED, REFUSED, GRANTED]);
        assert_eq!(
            decisions,
            [JointDecision::Refused { charge: 2, retry_after_ms: 7 }, JointDecision::Granted]
        );
        assert_eq!(back, [0, 1], "what it had whole, and what it was given late");
    }
}
