//! Invariant 1: every stored message appears exactly once in the final history, which is dense and the same for all.

use std::collections::HashSet;

use crate::history::{ChannelHistory, FinalReading};
use crate::index::{Index, Source};
use crate::verdict::{Fault, Invariant, Verdict, Violation};

pub(super) fn check(index: &Index<'_>, verdict: &mut Verdict) {
    for channel in &index.history.channels {
        for reading in &channel.readings {
            check_reading(channel, reading, verdict);
        }
        check_readings_agree(channel, verdict);
    }
    check_acknowledged(index, verdict);
    check_seen(index, verdict);
}

fn violation(channel: &ChannelHistory, fault: Fault, detail: String) -> Violation {
    Violation {
        invariant: Invariant::StoredOnce,
        fault,
        channel: Some(channel.channel_id),
        witness: None,
        at_us: None,
        detail,
    }
}

fn check_reading(channel: &ChannelHistory, reading: &FinalReading, verdict: &mut Verdict) {
    let mut ids = HashSet::new();
    let mut keys = HashSet::new();
    for seen in &reading.messages {
        if !ids.insert(seen.message_id) || !keys.insert((seen.sender, seen.client_id)) {
            let detail = format!(
                "message {} (seq {}, key {}) is there twice",
                seen.message_id, seen.seq, seen.client_id
            );
            verdict.add(violation(channel, Fault::DoubledInHistory, detail));
        }
    }
    let mut previous_id = 0;
    for (expected, seen) in (1u64..).zip(&reading.messages) {
        if seen.seq != expected || seen.message_id <= previous_id {
            let detail = format!(
                "position {expected} of {}'s reading holds seq {}, id {} after id {previous_id}",
                reading.reader, seen.seq, seen.message_id
            );
            verdict.add(violation(channel, Fault::HistoryNotDense, detail));
            return;
        }
        previous_id = seen.message_id;
    }
}

fn check_readings_agree(channel: &ChannelHistory, verdict: &mut Verdict) {
    let Some((first, others)) = channel.readings.split_first() else { return };
    for other in others {
        if first.messages != other.messages {
            let at = first.messages.iter().zip(&other.messages).position(|(a, b)| a != b);
            let detail = format!(
                "{} reads {} messages, {} reads {}; first difference at {at:?}",
                first.reader,
                first.messages.len(),
                other.reader,
                other.messages.len()
            );
            verdict.add(violation(channel, Fault::ReadingsDiffer, detail));
        }
    }
}

fn check_acknowledged(index: &Index<'_>, verdict: &mut Verdict) {
    for (key, sending) in &index.sends {
        let read = index.channels.get(&key.channel).is_some_and(|channel| !channel.readings.is_empty());
        let Some((at_us, _)) = sending.first_ack else { continue };
        // A refusal after the ack is the pipeline's right; it was not silent.
        if read && sending.refusals == 0 && !index.final_seq.contains_key(key) {
            verdict.add(Violation {
                invariant: Invariant::StoredOnce,
                fault: Fault::LostAcknowledged,
                channel: Some(key.channel),
                witness: Some((sending.client, 0)),
                at_us: Some(at_us),
                detail: format!(
                    "{} of {} was acknowledged and is not in the history",
                    key.client_id, key.sender
                ),
            });
        }
    }
}

fn check_seen(index: &Index<'_>, verdict: &mut Verdict) {
    let mut reported = HashSet::new();
    for sighting in index.sightings.iter().filter(|sighting| sighting.source != Source::Final) {
        let read = index.channels.get(&sighting.channel).is_some_and(|channel| !channel.readings.is_empty());
        if read && !index.final_seq.contains_key(&sighting.key()) && reported.insert(sighting.key()) {
            verdict.add(Violation {
                invariant: Invariant::StoredOnce,
                fault: Fault::LostSeen,
                channel: Some(sighting.channel),
                witness: sighting.witness,
                at_us: sighting.at_us,
                detail: format!(
                    "message {} (seq {}) was seen and is not in the history",
                    sighting.seen.message_id, sighting.seen.seq
                ),
            });
        }
    }
}
