//! Nobody is said to have read what they did not say they had, or what is not there; and what is said is not refused.

use std::collections::HashMap;

use ringside_test_client::cursor::Cursor;
use uuid::Uuid;

use super::evidence::Evidence;
use super::violation;
use crate::history::{ClientHistory, Event};
use crate::index::Index;
use crate::verdict::{Fault, Verdict};

/// Refusals that say nothing of the receipt itself.
const PASSING: [&str; 3] = ["unavailable", "internal", "rate_limited"];

pub(super) fn check(index: &Index<'_>, evidence: &Evidence, verdict: &mut Verdict) {
    for client in &index.history.clients {
        for record in &client.records {
            let (channel, cursors) = match &record.event {
                Event::Status { channel, cursor } => (*channel, std::slice::from_ref(cursor)),
                Event::Receipts { channel, cursors, .. } => (*channel, cursors.as_slice()),
                _ => continue,
            };
            let wrong =
                cursors.iter().filter_map(|cursor| find_fault(evidence, channel, cursor, record.at_us));
            for (fault, detail) in wrong {
                verdict.add(violation(channel, fault, Some((client, record)), detail));
            }
        }
        check_refusals(client, evidence, verdict);
    }
    for channel in &index.history.channels {
        for cursor in channel.final_cursors.iter().flat_map(|end| &end.cursors) {
            if let Some((fault, detail)) = find_fault(evidence, channel.channel_id, cursor, u64::MAX) {
                verdict.add(violation(channel.channel_id, fault, None, detail));
            }
        }
    }
}

fn find_fault(evidence: &Evidence, channel: Uuid, cursor: &Cursor, at_us: u64) -> Option<(Fault, String)> {
    let Cursor { user_id, delivered, read } = *cursor;
    if delivered < read {
        let detail = format!("{user_id} has read up to {read:?}, delivered is {delivered:?}");
        return Some((Fault::ReadNotDelivered, detail));
    }
    for (id, is_read, word) in [(read, true, "read"), (delivered, false, "delivered")] {
        let Some(id) = id else { continue };
        if evidence.is_read(channel) && evidence.seq(channel, id).is_none() {
            let detail = format!("{user_id}'s last {word} id is {id}: the channel has no such message");
            return Some((Fault::CursorAstray, detail));
        }
        if !evidence.was_reported((channel, user_id), id, is_read, at_us) {
            let detail = format!("{user_id}'s last {word} id is {id}, which no device of theirs had said");
            return Some((Fault::CursorInvented, detail));
        }
    }
    None
}

fn check_refusals(client: &ClientHistory, evidence: &Evidence, verdict: &mut Verdict) {
    let mut sent: HashMap<Uuid, (Uuid, u64)> = HashMap::new();
    for record in &client.records {
        match &record.event {
            Event::Receipt { channel, frame_id, message_id, .. } => {
                sent.insert(*frame_id, (*channel, *message_id));
            }
            Event::ReceiptRefused { frame_id, code } if !PASSING.contains(&code.as_str()) => {
                let Some(&(channel, id)) = sent.get(frame_id) else { continue };
                if evidence.seq(channel, id).is_some() {
                    let detail = format!("the receipt of message {id}, which is there, was refused: {code}");
                    verdict.add(violation(channel, Fault::ReceiptRefused, Some((client, record)), detail));
                }
            }
            _ => {}
        }
    }
}
