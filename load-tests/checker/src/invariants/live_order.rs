//! Invariant 4: on one connection `message.new` follows one dense order, and continues where a sync left off.

use std::collections::HashMap;

use uuid::Uuid;

use crate::history::{ClientHistory, Event, Record};
use crate::index::Index;
use crate::verdict::{Fault, Invariant, Verdict, Violation};

/// How far one connection has come in one channel.
#[derive(Clone, Copy, Default)]
struct Position {
    /// Greatest seq of a `message.new`; 0 before the first.
    live: u64,
    /// Greatest seq by any means: what a sync has told to be there, and `sync.done` included. `None` until the connection's
    /// place is known.
    known: Option<u64>,
}

pub(super) fn check(index: &Index<'_>, verdict: &mut Verdict) {
    for client in &index.history.clients {
        check_client(index, client, verdict);
    }
}

fn check_client(index: &Index<'_>, client: &ClientHistory, verdict: &mut Verdict) {
    let mut connection = 0;
    // What the sync under way has told to be there already.
    let mut told: HashMap<Uuid, Option<u64>> = HashMap::new();
    let mut positions: HashMap<Uuid, Position> = HashMap::new();
    for record in &client.records {
        if record.connection != connection {
            connection = record.connection;
            positions.clear();
            told.clear();
        }
        match &record.event {
            Event::New { channel, message } => {
                let position = positions.entry(*channel).or_default();
                if let Some((fault, detail)) = find_fault(*position, message.seq) {
                    verdict.add(violation(client, record, *channel, fault, detail));
                }
                position.live = position.live.max(message.seq);
                position.known = position.known.max(Some(message.seq));
            }
            Event::SyncSent { channels, .. } => told = channels.iter().copied().collect(),
            Event::Page { channel, messages, .. } => {
                let position = positions.entry(*channel).or_default();
                let told = told.get(channel).copied().flatten();
                let before = told.and_then(|id| index.seq_of.get(&(*channel, id)).copied());
                let last = messages.iter().map(|message| message.seq).max();
                position.known = position.known.max(before).max(last);
            }
            Event::SyncDone { channels, .. } => {
                for (channel, last_seq) in channels {
                    let position = positions.entry(*channel).or_default();
                    position.known = position.known.max(Some(*last_seq));
                }
            }
            _ => {}
        }
    }
}

/// `message.new` with this seq at this position. Where the place is not known yet, any seq may be the first.
fn find_fault(position: Position, seq: u64) -> Option<(Fault, String)> {
    if position.live == seq {
        return Some((Fault::DuplicateLive, format!("seq {seq} came twice in a row")));
    }
    if seq < position.live {
        return Some((Fault::Reordered, format!("seq {seq} came after seq {}", position.live)));
    }
    let known = position.known?;
    if seq <= known {
        return Some((Fault::DuplicateLive, format!("seq {seq} came live after a sync had reached {known}")));
    }
    (seq > known + 1).then(|| (Fault::Gap, format!("seq {seq} came after seq {known}")))
}

fn violation(
    client: &ClientHistory,
    record: &Record,
    channel: Uuid,
    fault: Fault,
    detail: String,
) -> Violation {
    Violation {
        invariant: Invariant::OneOrder,
        fault,
        channel: Some(channel),
        witness: Some((client.client, record.connection)),
        at_us: Some(record.at_us),
        detail,
    }
}
