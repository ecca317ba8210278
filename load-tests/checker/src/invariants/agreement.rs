//! Invariants 3 and 8: (channel, seq) is one message for everyone, and one idempotency key is one message.

use std::collections::{BTreeMap, HashMap};

use uuid::Uuid;

use crate::index::{Index, SendKey, Sighting};
use crate::verdict::{Fault, Invariant, Verdict, Violation};

pub(super) fn check(index: &Index<'_>, verdict: &mut Verdict) {
    let mut by_seq: BTreeMap<(Uuid, u64), (u64, SendKey)> = BTreeMap::new();
    let mut by_id: HashMap<u64, (Uuid, u64)> = HashMap::new();
    let mut by_key: HashMap<SendKey, u64> = HashMap::new();
    for sighting in &index.sightings {
        let seen = sighting.seen;
        let named = *by_seq.entry((sighting.channel, seen.seq)).or_insert((seen.message_id, sighting.key()));
        if named != (seen.message_id, sighting.key()) {
            let detail = format!(
                "seq {} is message {} (key {}) to one and {} (key {}) to another",
                seen.seq, named.0, named.1.client_id, seen.message_id, seen.client_id
            );
            verdict.add(violation(sighting, Invariant::OneMessagePerSeq, Fault::SequenceConflict, detail));
        }
        let position = *by_id.entry(seen.message_id).or_insert((sighting.channel, seen.seq));
        if position != (sighting.channel, seen.seq) {
            let detail = format!(
                "message {} is seq {} of {} to one and seq {} to another",
                seen.message_id, position.1, position.0, seen.seq
            );
            verdict.add(violation(sighting, Invariant::OneMessagePerSeq, Fault::IdConflict, detail));
        }
        let first = *by_key.entry(sighting.key()).or_insert(seen.message_id);
        if first != seen.message_id {
            let detail = format!("key {} became messages {first} and {}", seen.client_id, seen.message_id);
            verdict.add(violation(sighting, Invariant::RetriesCollapse, Fault::RetryDoubled, detail));
        }
    }
    check_ids_follow_seq(&by_seq, verdict);
    check_retries(index, verdict);
}

/// A repetition is answered like the first attempt, whatever its sender may do by then.
fn check_retries(index: &Index<'_>, verdict: &mut Verdict) {
    let mut first_seen: HashMap<SendKey, u64> = HashMap::new();
    for sighting in &index.sightings {
        let Some(at_us) = sighting.at_us else { continue };
        let first = first_seen.entry(sighting.key()).or_insert(at_us);
        *first = at_us.min(*first);
    }
    for (key, sending) in &index.sends {
        let (Some(sent_us), Some(seen_us)) = (sending.turned_away_us, first_seen.get(key)) else { continue };
        if sent_us > *seen_us {
            verdict.add(Violation {
                invariant: Invariant::RetriesCollapse,
                fault: Fault::RetryRefused,
                channel: Some(key.channel),
                witness: Some((sending.client, 0)),
                at_us: Some(sent_us),
                detail: format!(
                    "{} was refused, {} ms after it was seen",
                    key.client_id,
                    (sent_us - seen_us) / 1_000
                ),
            });
        }
    }
}

/// Ids are compared over all that anybody saw, so two readers can't each see an increasing order of their own.
fn check_ids_follow_seq(by_seq: &BTreeMap<(Uuid, u64), (u64, SendKey)>, verdict: &mut Verdict) {
    for ((&(channel, seq), &(id, _)), (&(next_channel, next_seq), &(next_id, _))) in
        by_seq.iter().zip(by_seq.iter().skip(1))
    {
        if channel == next_channel && next_id <= id {
            verdict.add(Violation {
                invariant: Invariant::OneMessagePerSeq,
                fault: Fault::IdConflict,
                channel: Some(channel),
                witness: None,
                at_us: None,
                detail: format!("seq {next_seq} has id {next_id}, not above id {id} of seq {seq}"),
            });
        }
    }
}

fn violation(sighting: &Sighting<'_>, invariant: Invariant, fault: Fault, detail: String) -> Violation {
    Violation {
        invariant,
        fault,
        channel: Some(sighting.channel),
        witness: sighting.witness,
        at_us: sighting.at_us,
        detail,
    }
}
