//! (channel, change) is one event for everyone, and nobody misses a number or sees it twice unasked.

use std::collections::HashMap;

use ringside_test_client::amendment::{Change, Changed};
use uuid::Uuid;

use super::{changes_of, unwitnessed, witnessed};
use crate::history::{ClientHistory, Event, Record};
use crate::index::Index;
use crate::verdict::{Fault, Verdict};

pub(super) fn check(index: &Index<'_>, verdict: &mut Verdict) {
    check_agreement(index, verdict);
    for client in &index.history.clients {
        let mut stream = Stream::default();
        for record in &client.records {
            stream.read(client, record, verdict);
        }
    }
    for channel in &index.history.channels {
        let Some(changes) = &channel.changes else { continue };
        if let Some((after, number)) = first_hole(0, changes) {
            let detail = format!("change {number} follows change {after} in the last sync");
            verdict.add(unwitnessed(channel.channel_id, Fault::GapInChanges, detail));
        }
    }
}

fn check_agreement(index: &Index<'_>, verdict: &mut Verdict) {
    let mut known: HashMap<(Uuid, u64), &Changed> = HashMap::new();
    for channel in &index.history.channels {
        for change in channel.changes.iter().flatten() {
            known.insert((channel.channel_id, change.number), &change.what);
        }
    }
    for client in index.history.clients.iter().chain(&index.history.evicted_clients) {
        for record in &client.records {
            let Some((channel, changes)) = changes_of(record) else { continue };
            for change in changes {
                let first = *known.entry((channel, change.number)).or_insert(&change.what);
                if !first.is_same_as(&change.what) {
                    let detail = format!(
                        "change {} is {first:?} to one and {:?} to another",
                        change.number, change.what
                    );
                    verdict.add(witnessed(client, record, channel, Fault::ChangeConflict, detail));
                }
            }
        }
    }
}

/// The first place where a run of changes is not dense, as (before, after).
fn first_hole(after: u64, changes: &[Change]) -> Option<(u64, u64)> {
    let mut reached = after;
    for change in changes {
        let repeats = change.number == reached && matches!(change.what, Changed::Other { .. });
        if change.number != reached + 1 && !repeats {
            return Some((reached, change.number));
        }
        reached = change.number;
    }
    None
}

/// How far one connection has come in each channel.
#[derive(Default)]
struct Stream {
    connection: u32,
    /// The number of the last live change.
    live: HashMap<Uuid, u64>,
    /// The greatest number by any means, once the connection's place is known.
    known: HashMap<Uuid, u64>,
    /// What the sync under way said the client has.
    asked: HashMap<Uuid, u64>,
}

impl Stream {
    fn read(&mut self, client: &ClientHistory, record: &Record, verdict: &mut Verdict) {
        if record.connection != self.connection {
            *self = Self { connection: record.connection, ..Self::default() };
        }
        match &record.event {
            Event::SyncSent { changes, .. } => self.asked = changes.iter().copied().collect(),
            Event::Changed { channel, change } => {
                if let Some((fault, detail)) = self.find_fault(*channel, change) {
                    verdict.add(witnessed(client, record, *channel, fault, detail));
                }
                self.live.insert(*channel, change.number);
                self.reach(*channel, change.number);
            }
            Event::Page { channel, reset: true, .. } => {
                self.asked.remove(channel);
                self.known.remove(channel);
            }
            Event::Page { channel, changes, .. } if !changes.is_empty() => {
                let after = self.asked.get(channel).copied();
                let hole = after.and_then(|after| first_hole(after, changes));
                if let Some((after, number)) = hole {
                    let detail = format!("change {number} follows change {after} in a page");
                    verdict.add(witnessed(client, record, *channel, Fault::GapInChanges, detail));
                }
                let last = changes.last().map_or(0, |change| change.number);
                self.asked.insert(*channel, last);
                self.reach(*channel, last);
            }
            // The last page brought none: the client has them all, as it said.
            Event::Page { channel, has_more: false, .. } => {
                if let Some(after) = self.asked.get(channel).copied() {
                    self.reach(*channel, after);
                }
            }
            Event::SyncDone { changes, .. } => {
                for &(channel, last) in changes {
                    self.done(client, record, channel, last, verdict);
                }
            }
            _ => {}
        }
    }

    fn reach(&mut self, channel: Uuid, number: u64) {
        let known = self.known.entry(channel).or_default();
        *known = number.max(*known);
    }

    fn find_fault(&self, channel: Uuid, change: &Change) -> Option<(Fault, String)> {
        let number = change.number;
        let live = self.live.get(&channel).copied().unwrap_or(0);
        let repeats = matches!(change.what, Changed::Other { .. }) && number == live;
        let known = self.known.get(&channel).copied();
        match known {
            _ if repeats => None,
            _ if number <= live => {
                Some((Fault::DoubledChange, format!("change {number} came live after change {live}")))
            }
            Some(known) if number <= known => Some((
                Fault::DoubledChange,
                format!("change {number} came live after a sync had reached {known}"),
            )),
            Some(known) if number > known + 1 => {
                Some((Fault::GapInChanges, format!("change {number} came live after change {known}")))
            }
            _ => None,
        }
    }

    /// The sync is over: what it names must have come, in its pages or live meanwhile.
    fn done(
        &mut self,
        client: &ClientHistory,
        record: &Record,
        channel: Uuid,
        last: u64,
        verdict: &mut Verdict,
    ) {
        let reached = self.asked.remove(&channel).map(|asked| {
            let known = self.known.get(&channel).copied().unwrap_or(0);
            asked.max(known)
        });
        if let Some(reached) = reached.filter(|reached| *reached < last) {
            let detail = format!("sync.done names change {last}, but only {reached} had come");
            verdict.add(witnessed(client, record, channel, Fault::GapInChanges, detail));
        }
        self.reach(channel, last);
    }
}
