//! Limits: token buckets on the server.
//!
//! A group's buckets may be on different servers, so no script sees all of them. A batch of groups therefore goes in steps:
//!
//! 1. Each bucket is asked for *all* that the batch wants of it: it gives all of it, or tells its level and gives
//!    nothing. Where every bucket gives, that is the answer, after one round trip.
//! 2. Otherwise the groups are decided here, in order, by those levels. The buckets that told them are asked for what
//!    those groups need that pass; those that gave get back what they gave to the others.
//! 3. Where another process was quicker in between, a group that should have passed is refused after all, and its other
//!    buckets get back what they gave.
//!
//! So tokens are always taken before they are given back: a limit may be stricter by what is under way, for the length of
//! a round trip, and is never looser. What a lost reply or a lost process took stays taken, until it comes back by
//! itself.

mod plan;

use std::collections::HashMap;
use std::sync::atomic::Ordering;

use bytes::Bytes;
use futures_util::future::join;
use redis::Value;
use ringside_ports::EngineError;
use ringside_ports::presence::{Account, Charge, JointDecision, RateDecision};

use crate::failure::unexpected;
use crate::keys;
use crate::nodes::{Call, Repeat};
use crate::presence::{ITEMS_MAX, RedisPresence, scatter};
use crate::scripts::{self, Script};
use plan::{Plan, Taken};

/// What a bucket without a limit has left.
const UNLIMITED: RateDecision = RateDecision::Granted { remaining: u32::MAX };

/// Charges by their buckets: one call for each, and whose charge each of its answers is.
#[derive(Default)]
struct Buckets<'a> {
    places: HashMap<&'a Account, usize>,
    calls: Vec<Call>,
    of: Vec<Vec<usize>>,
}

impl<'a> Buckets<'a> {
    /// What has no limit has no bucket, and is passed over.
    fn of(
        presence: &RedisPresence,
        script: &'static Script,
        charges: impl IntoIterator<Item = (usize, &'a Charge)>,
    ) -> Self {
        let mut buckets = Self::default();
        for (place, charge) in charges {
            let Charge { account, rate, tokens } = charge;
            if rate.per_minute == 0 {
                continue;
            }
            let Self { places, calls, of } = &mut buckets;
            let at = *places.entry(account).or_insert_with(|| {
                let key = keys::bucket(&presence.prefix, account);
                calls.push(Call { script, key, arguments: Vec::new() });
                of.push(Vec::new());
                calls.len() - 1
            });
            let measures = [rate.per_minute, rate.burst, *tokens];
            calls[at].arguments.extend(measures.map(|number| Bytes::from(number.to_string())));
            of[at].push(place);
        }
        buckets
    }
}

/// What the script says of one charge: tokens left, or milliseconds to wait.
fn decision_of(value: &Value) -> Option<RateDecision> {
    let Value::Int(number) = value else { return None };
    Some(match u32::try_from(*number) {
        Ok(remaining) => RateDecision::Granted { remaining },
        Err(_) => RateDecision::Refused { retry_after_ms: number.unsigned_abs() },
    })
}

/// Takes charge by charge.
pub(crate) async fn charge(
    presence: &RedisPresence,
    charges: &[Charge],
) -> Result<Vec<RateDecision>, EngineError> {
    let mut decisions = Vec::with_capacity(charges.len());
    for some in charges.chunks(ITEMS_MAX) {
        decisions.extend(take(presence, some.iter().enumerate(), some.len()).await?);
    }
    Ok(decisions)
}

/// Takes charge by charge; the decisions stand at the charges' places, and others' are grants.
async fn take<'a>(
    presence: &RedisPresence,
    charges: impl IntoIterator<Item = (usize, &'a Charge)>,
    count: usize,
) -> Result<Vec<RateDecision>, EngineError> {
    let buckets = Buckets::of(presence, &scripts::TAKE_EACH, charges);
    // What a lost reply took is taken once more: stricter, never looser.
    let answers = presence.nodes.execute(&buckets.calls, Repeat::Harmless).await?;
    scatter(&answers, &buckets.of, vec![UNLIMITED; count], decision_of)
}

/// Gives back.
pub(crate) async fn refund(presence: &RedisPresence, charges: &[Charge]) -> Result<(), EngineError> {
    for some in charges.chunks(ITEMS_MAX) {
        let buckets = Buckets::of(presence, &scripts::GIVE, some.iter().enumerate());
        presence.nodes.execute(&buckets.calls, Repeat::Never).await?;
    }
    Ok(())
}

/// Takes group by group.
pub(crate) async fn charge_jointly(
    presence: &RedisPresence,
    groups: &[Vec<Charge>],
) -> Result<Vec<JointDecision>, EngineError> {
    let mut decisions = Vec::with_capacity(groups.len());
    for some in groups.chunks(ITEMS_MAX) {
        decisions.extend(charge_some_jointly(presence, some).await?);
    }
    Ok(decisions)
}

async fn charge_some_jointly(
    presence: &RedisPresence,
    groups: &[Vec<Charge>],
) -> Result<Vec<JointDecision>, EngineError> {
    let charges: Vec<&Charge> = groups.iter().flatten().collect();
    let all = charges.iter().copied().enumerate();
    let buckets = Buckets::of(presence, &scripts::TAKE_WHOLE, all);
    let answers = presence.nodes.execute(&buckets.calls, Repeat::Harmless).await?;
    let mut taken = vec![Taken::Unlimited; charges.len()];
    for (bucket, (answer, places)) in answers.iter().zip(&buckets.of).enumerate() {
        let level = level_of(answer)?;
        for place in places {
            taken[*place] = level.map_or(Taken::Whole, |parts| Taken::Nothing { bucket, parts });
        }
    }
    let plan = Plan::of(groups, &taken);
    if plan.gives_back.is_empty() && plan.takes.is_empty() {
        return Ok(plan.decisions);
    }
    let back = plan.gives_back.iter().map(|place| charges[*place]);
    let takes = plan.takes.iter().map(|place| (*place, charges[*place]));
    let ((), late) = join(give_back(presence, back), take(presence, takes, charges.len())).await;
    let (decisions, back) = plan.after(groups, &late?);
    give_back(presence, back.into_iter().map(|place| charges[place])).await;
    Ok(decisions)
}

/// `None`: the bucket gave all of it.
fn level_of(answer: &Value) -> Result<Option<u64>, EngineError> {
    match answer {
        Value::Array(values) => match values.as_slice() {
            [] => Ok(None),
            [Value::Int(parts)] if *parts >= 0 => Ok(Some(parts.unsigned_abs())),
            _ => Err(unexpected("a level")),
        },
        _ => Err(unexpected("a level")),
    }
}

/// Gives back what was taken for nothing. Where that fails, it comes back by itself.
async fn give_back<'a>(presence: &RedisPresence, charges: impl Iterator<Item = &'a Charge>) {
    let buckets = Buckets::of(presence, &scripts::GIVE, charges.enumerate());
    if buckets.calls.is_empty() {
        return;
    }
    if let Err(error) = presence.nodes.execute(&buckets.calls, Repeat::Never).await {
        let lost = buckets.of.iter().map(|of| of.len() as u64).sum();
        presence.counters().tokens_lost.fetch_add(lost, Ordering::Relaxed);
        tracing::warn!(%error, lost, "what was taken for refused charges could not be given back");
    }
}
