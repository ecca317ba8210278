//! Invariant 2: nothing appears that was not sent, and only members see it.

use crate::history::Event;
use crate::index::{Index, Sighting};
use crate::verdict::{Fault, Invariant, Verdict, Violation};

pub(super) fn check(index: &Index<'_>, verdict: &mut Verdict) {
    for sighting in &index.sightings {
        if let Some((fault, detail)) = find_fault(index, sighting) {
            verdict.add(Violation {
                invariant: Invariant::NothingInvented,
                fault,
                channel: Some(sighting.channel),
                witness: sighting.witness,
                at_us: sighting.at_us,
                detail,
            });
        }
    }
    for client in &index.history.clients {
        for record in &client.records {
            if let Event::Malformed { detail } = &record.event {
                verdict.add(Violation {
                    invariant: Invariant::NothingInvented,
                    fault: Fault::Malformed,
                    channel: None,
                    witness: Some((client.client, record.connection)),
                    at_us: Some(record.at_us),
                    detail: detail.clone(),
                });
            }
        }
    }
}

fn find_fault(index: &Index<'_>, sighting: &Sighting<'_>) -> Option<(Fault, String)> {
    let seen = sighting.seen;
    let Some(sending) = index.sends.get(&sighting.key()) else {
        let detail = format!(
            "message {} (seq {}, key {}): {} never sent it",
            seen.message_id, seen.seq, seen.client_id, seen.sender
        );
        return Some((Fault::Phantom, detail));
    };
    let edits = index.edits.get(&(sighting.channel, seen.message_id));
    let is_edit = edits.is_some_and(|contents| contents.contains(&seen.content.as_str()));
    if !seen.deleted && seen.content != sending.content && !is_edit {
        let detail =
            format!("message {} says {:?}, sent was {:?}", seen.message_id, seen.content, sending.content);
        return Some((Fault::Phantom, detail));
    }
    if sighting.at_us.is_some_and(|at_us| at_us < sending.first_sent_us) {
        return Some((Fault::Phantom, format!("message {} was seen before it was sent", seen.message_id)));
    }
    if sending.refusals >= sending.attempts {
        let detail = format!("message {}: all {} attempts were refused", seen.message_id, sending.attempts);
        return Some((Fault::RefusedAppears, detail));
    }
    let member = index
        .channels
        .get(&sighting.channel)
        .is_some_and(|channel| channel.members.contains(&sighting.reader));
    (!member).then(|| {
        (
            Fault::ForeignReader,
            format!("{} is no member and saw message {}", sighting.reader, seen.message_id),
        )
    })
}
