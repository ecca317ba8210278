//! Cursors only grow: on a connection, over reconnects and kills, and from what anybody was told to what REST says later.
//!
//! A status is made before it is read, so it may be behind a list that was asked for meanwhile; statuses are held against
//! each other, and lists against all that was told before they were asked for.

use std::collections::HashMap;

use ringside_test_client::cursor::Cursor;
use uuid::Uuid;

use super::evidence::{Evidence, Member};
use super::violation;
use crate::history::{ChannelHistory, ClientHistory, Event};
use crate::index::Index;
use crate::verdict::{Fault, Verdict};

pub(super) fn check(index: &Index<'_>, evidence: &Evidence, verdict: &mut Verdict) {
    for client in &index.history.clients {
        check_statuses(client, verdict);
        check_lists(client, evidence, verdict);
    }
    for channel in &index.history.channels {
        check_end(channel, evidence, verdict);
    }
}

fn check_statuses(client: &ClientHistory, verdict: &mut Verdict) {
    let mut told: HashMap<Member, Cursor> = HashMap::new();
    for record in &client.records {
        let Event::Status { channel, cursor } = &record.event else { continue };
        let known = told.entry((*channel, cursor.user_id)).or_insert(Cursor::nothing(cursor.user_id));
        if cursor.is_below(known) {
            let detail = format!("a status says {cursor:?} after {known:?}");
            verdict.add(violation(*channel, Fault::CursorRegressed, Some((client, record)), detail));
        }
        known.raise(cursor);
    }
}

fn check_lists(client: &ClientHistory, evidence: &Evidence, verdict: &mut Verdict) {
    for record in &client.records {
        let Event::Receipts { channel, asked_us, cursors } = &record.event else { continue };
        for cursor in cursors {
            let least = evidence.least((*channel, cursor.user_id), *asked_us);
            if cursor.is_below(&least) {
                let detail = format!("the list says {cursor:?}; before it was asked for it was {least:?}");
                verdict.add(violation(*channel, Fault::CursorRegressed, Some((client, record)), detail));
            }
        }
    }
}

/// In the end everybody is told the same, of every member, and no less than what had been told or can't have been lost.
fn check_end(channel: &ChannelHistory, evidence: &Evidence, verdict: &mut Verdict) {
    let id = channel.channel_id;
    let by_user = |cursors: &[Cursor]| -> HashMap<Uuid, Cursor> {
        cursors.iter().map(|cursor| (cursor.user_id, *cursor)).collect()
    };
    let Some((first, others)) = channel.final_cursors.split_first() else { return };
    let ends = by_user(&first.cursors);
    for other in others.iter().filter(|other| by_user(&other.cursors) != ends) {
        let detail = format!(
            "{} is told {:?}, {} is told {:?}",
            first.reader, first.cursors, other.reader, other.cursors
        );
        verdict.add(violation(id, Fault::CursorsDiffer, None, detail));
    }
    for &user in &channel.members {
        let mut least = evidence.least((id, user), u64::MAX);
        if let Some(certain) = evidence.certain.get(&(id, user)) {
            least.raise(certain);
        }
        let end = ends.get(&user);
        if end.is_none_or(|end| end.is_below(&least)) {
            let detail = format!("in the end the list says {end:?}; it must be {least:?} at the least");
            verdict.add(violation(id, Fault::CursorLost, None, detail));
        }
    }
}
