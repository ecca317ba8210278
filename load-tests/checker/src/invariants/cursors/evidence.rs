//! What is known of each member's cursors at any time: the least that they are, and the most that they can be.

use std::collections::{BTreeMap, HashMap};

use ringside_test_client::cursor::Cursor;
use uuid::Uuid;

use super::certain::{CertainCursors, certain_cursors};
use crate::history::Event;
use crate::index::{Index, Source};

/// A member of a channel.
pub(super) type Member = (Uuid, Uuid);

/// When a device first reported a message as read, and as delivered or read.
#[derive(Clone, Copy, Default)]
struct FirstReport {
    read_us: Option<u64>,
    any_us: Option<u64>,
}

pub(super) struct Evidence {
    /// The final history of each channel that was read: seq by message id.
    seqs: HashMap<Uuid, BTreeMap<u64, u64>>,
    reported: HashMap<(Member, u64), FirstReport>,
    /// Messages reported as read, one's own among them, as rising steps (time, id).
    may_be_read: HashMap<Member, Vec<(u64, u64)>>,
    /// What anybody was told, as rising steps.
    known: HashMap<Member, Vec<(u64, Cursor)>>,
    /// What can't have been lost.
    pub certain: CertainCursors,
}

impl Evidence {
    pub(super) fn build(index: &Index<'_>) -> Self {
        let mut evidence = Self {
            seqs: HashMap::new(),
            reported: HashMap::new(),
            may_be_read: HashMap::new(),
            known: HashMap::new(),
            certain: CertainCursors::new(),
        };
        for channel in &index.history.channels {
            if let Some(reading) = channel.readings.first() {
                let seqs = reading.messages.iter().map(|seen| (seen.message_id, seen.seq)).collect();
                evidence.seqs.insert(channel.channel_id, seqs);
            }
        }
        evidence.note_receipts(index);
        evidence.note_own_messages(index);
        evidence.note_what_was_told(index);
        evidence.may_be_read.values_mut().for_each(|steps| {
            steps.sort_unstable();
            rise(steps, |kept, id| *kept = (*kept).max(id));
        });
        evidence.known.values_mut().for_each(|steps| {
            steps.sort_by_key(|(at_us, _)| *at_us);
            rise(steps, |kept, cursor| kept.raise(&cursor));
        });
        if let Some(from_us) = index.history.undisturbed_from_us {
            let exists = |channel, id| evidence.seq(channel, id).is_some();
            evidence.certain = certain_cursors(&index.history.clients, from_us, exists);
        }
        evidence
    }

    fn note_receipts(&mut self, index: &Index<'_>) {
        for client in &index.history.clients {
            for record in &client.records {
                if let Event::Receipt { channel, message_id, is_read, .. } = record.event {
                    self.note_report((channel, client.user_id), message_id, is_read, record.at_us);
                }
            }
        }
    }

    /// Sending reads up to one's own message.
    fn note_own_messages(&mut self, index: &Index<'_>) {
        for sighting in &index.sightings {
            let (channel, sender) = (sighting.channel, sighting.seen.sender);
            let member = (channel, sender);
            let id = sighting.seen.message_id;
            if let (Source::Final, Some(sending)) = (sighting.source, index.sends.get(&sighting.key())) {
                self.note_report(member, id, true, sending.first_sent_us);
            }
            let cursor = Cursor { user_id: sender, delivered: Some(id), read: Some(id) };
            // What stands in the end was there before the end.
            let at_us = sighting.at_us.unwrap_or(u64::MAX - 1);
            self.known.entry(member).or_default().push((at_us, cursor));
        }
    }

    fn note_what_was_told(&mut self, index: &Index<'_>) {
        for client in &index.history.clients {
            for record in &client.records {
                let (channel, cursors) = match &record.event {
                    Event::Status { channel, cursor } => (*channel, std::slice::from_ref(cursor)),
                    Event::Receipts { channel, cursors, .. } => (*channel, cursors.as_slice()),
                    _ => continue,
                };
                for cursor in cursors {
                    let steps = self.known.entry((channel, cursor.user_id)).or_default();
                    steps.push((record.at_us, *cursor));
                }
            }
        }
    }

    fn note_report(&mut self, member: Member, id: u64, is_read: bool, at_us: u64) {
        let reported = self.reported.entry((member, id)).or_default();
        let first = |known: Option<u64>| Some(known.map_or(at_us, |known| known.min(at_us)));
        reported.any_us = first(reported.any_us);
        // What names no message of the channel is refused.
        if is_read && self.seqs.get(&member.0).is_none_or(|seqs| seqs.contains_key(&id)) {
            reported.read_us = first(reported.read_us);
            self.may_be_read.entry(member).or_default().push((at_us, id));
        }
    }

    /// Whether the channel's final history is known.
    pub(super) fn is_read(&self, channel: Uuid) -> bool {
        self.seqs.contains_key(&channel)
    }

    /// The number of a message in its channel.
    pub(super) fn seq(&self, channel: Uuid, id: u64) -> Option<u64> {
        self.seqs.get(&channel)?.get(&id).copied()
    }

    /// Messages of the final history above an id, counted one by one.
    pub(super) fn count_above(&self, channel: Uuid, id: Option<u64>) -> u64 {
        let seqs = self.seqs.get(&channel);
        seqs.map_or(0, |seqs| seqs.keys().filter(|it| Some(**it) > id).count() as u64)
    }

    /// Whether a device of the member had reported this by then.
    pub(super) fn was_reported(&self, member: Member, id: u64, is_read: bool, by_us: u64) -> bool {
        let reported = self.reported.get(&(member, id)).copied().unwrap_or_default();
        let first = if is_read { reported.read_us } else { reported.any_us };
        first.is_some_and(|first| first <= by_us)
    }

    /// The least that the cursors were, by what anybody had been told before this time.
    pub(super) fn least(&self, member: Member, before_us: u64) -> Cursor {
        let steps = self.known.get(&member).map_or(&[][..], Vec::as_slice);
        let passed = steps.partition_point(|(at_us, _)| *at_us < before_us);
        passed.checked_sub(1).map_or(Cursor::nothing(member.1), |last| steps[last].1)
    }

    /// The greatest message that can have been read by then.
    pub(super) fn most_read(&self, member: Member, by_us: u64) -> Option<u64> {
        let steps = self.may_be_read.get(&member)?;
        let passed = steps.partition_point(|(at_us, _)| *at_us <= by_us);
        Some(steps[passed.checked_sub(1)?].1)
    }
}

/// Makes each step hold what came before it as well.
fn rise<T: Copy>(steps: &mut [(u64, T)], raise: impl Fn(&mut T, T)) {
    for at in 1..steps.len() {
        let before = steps[at - 1].1;
        raise(&mut steps[at].1, before);
    }
}
