//! Invariant 5: what was acknowledged before another was sent, by the same sender, comes before it.

use std::collections::BTreeMap;

use uuid::Uuid;

use crate::index::{Index, SendKey, Sending};
use crate::verdict::{Fault, Invariant, Verdict, Violation};

/// A point on the sender's time line. Two devices of one user are compared by the clock of the run, strictly; within one
/// device the order of its records decides.
type Moment = (u64, usize);

/// One stored message of a sender, with its final seq.
type Stored<'a, 'h> = (&'a SendKey, &'a Sending<'h>, u64);

pub(super) fn check(index: &Index<'_>, verdict: &mut Verdict) {
    let mut by_sender: BTreeMap<(Uuid, Uuid), Vec<Stored<'_, '_>>> = BTreeMap::new();
    // Of those who may be removed, what was acknowledged may have been rejected, and stored by a later attempt.
    for (key, sending) in index.sends.iter().filter(|(_, sending)| !sending.is_evictable) {
        if let Some(&seq) = index.final_seq.get(key) {
            by_sender.entry((key.channel, key.sender)).or_default().push((key, sending, seq));
        }
    }
    for sends in by_sender.values() {
        check_sender(sends, verdict);
    }
}

fn check_sender(sends: &[Stored<'_, '_>], verdict: &mut Verdict) {
    let mut acks: Vec<(Moment, u32, u64, &SendKey)> = sends
        .iter()
        // One that was also refused may have been stored by a later attempt than the acknowledged one.
        .filter(|(_, sending, _)| sending.refusals == 0)
        .filter_map(|&(key, sending, seq)| Some((sending.first_ack?, sending.client, seq, key)))
        .collect();
    acks.sort_unstable_by_key(|&(moment, ..)| moment);
    let mut in_order: Vec<_> = sends.to_vec();
    in_order.sort_unstable_by_key(|(_, sending, _)| (sending.first_sent_us, sending.first_sent_at));

    let mut passed = 0;
    let mut highest: Option<(u64, &SendKey)> = None;
    for (key, sending, seq) in in_order {
        while let Some(&(moment, client, acked_seq, acked_key)) = acks.get(passed) {
            let same_device = client == sending.client;
            let before = moment.0 < sending.first_sent_us
                || (same_device && moment.0 == sending.first_sent_us && moment.1 < sending.first_sent_at);
            if !before {
                break;
            }
            if highest.is_none_or(|(top, _)| acked_seq > top) {
                highest = Some((acked_seq, acked_key));
            }
            passed += 1;
        }
        if let Some((top, earlier)) = highest.filter(|&(top, earlier)| top > seq && earlier != key) {
            verdict.add(Violation {
                invariant: Invariant::AckOrdersSends,
                fault: Fault::CausalityBroken,
                channel: Some(key.channel),
                witness: Some((sending.client, 0)),
                at_us: Some(sending.first_sent_us),
                detail: format!(
                    "{} (seq {seq}) was sent after {} (seq {top}) had been acknowledged",
                    key.client_id, earlier.client_id
                ),
            });
        }
    }
}
