//! What is known of each member's cursors at any time: the least that they are, and the most that they can be.

use std::collections::{BTreeMap, HashMap};

use ringside_test_client::cursor::Cursor;
use uuid::Uuid;

use super::due::{Due, due};
use crate::history::Event;
use crate::index::{Index, Place};

/// A member of a channel.
pub(super) type Member = (Uuid, Uuid);

/// When a message was first said to be read, and to be delivered or read.
#[derive(Clone, Copy, Default)]
struct Said {
    read_us: Option<u64>,
    us: Option<u64>,
}

pub(super) struct Evidence {
    /// The final history of each channel that was read: seq by message id.
    places: HashMap<Uuid, BTreeMap<u64, u64>>,
    said: HashMap<(Member, u64), Said>,
    /// Messages said to be read, one's own among them, as rising steps (time, id).
    may_be_read: HashMap<Member, Vec<(u64, u64)>>,
    /// What anybody was told, as rising steps.
    known: HashMap<Member, Vec<(u64, Cursor)>>,
    /// What can't have been lost.
    pub due: Due,
}

impl Evidence {
    pub(super) fn build(index: &Index<'_>) -> Self {
        let mut evidence = Self {
            places: HashMap::new(),
            said: HashMap::new(),
            may_be_read: HashMap::new(),
            known: HashMap::new(),
            due: Due::new(),
        };
        for channel in &index.history.channels {
            if let Some(reading) = channel.readings.first() {
                let places = reading.messages.iter().map(|seen| (seen.message_id, seen.seq)).collect();
                evidence.places.insert(channel.channel_id, places);
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
            evidence.due = due(&index.history.clients, from_us, exists);
        }
        evidence
    }

    fn note_receipts(&mut self, index: &Index<'_>) {
        for client in &index.history.clients {
            for record in &client.records {
                if let Event::Receipt { channel, message_id, is_read, .. } = record.event {
                    self.say((channel, client.user_id), message_id, is_read, record.at_us);
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
            if let (Place::Final, Some(sending)) = (sighting.place, index.sends.get(&sighting.key())) {
                self.say(member, id, true, sending.first_sent_us);
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

    fn say(&mut self, member: Member, id: u64, is_read: bool, at_us: u64) {
        let said = self.said.entry((member, id)).or_default();
        let first = |known: Option<u64>| Some(known.map_or(at_us, |known| known.min(at_us)));
        said.us = first(said.us);
        // What names no message of the channel is refused.
        if is_read && self.places.get(&member.0).is_none_or(|places| places.contains_key(&id)) {
            said.read_us = first(said.read_us);
            self.may_be_read.entry(member).or_default().push((at_us, id));
        }
    }

    /// Whether the channel's final history is known.
    pub(super) fn is_read(&self, channel: Uuid) -> bool {
        self.places.contains_key(&channel)
    }

    /// The number of a message in its channel.
    pub(super) fn seq(&self, channel: Uuid, id: u64) -> Option<u64> {
        self.places.get(&channel)?.get(&id).copied()
    }

    /// Messages of the final history above an id, counted one by one.
    pub(super) fn count_above(&self, channel: Uuid, id: Option<u64>) -> u64 {
        let places = self.places.get(&channel);
        places.map_or(0, |places| places.keys().filter(|it| Some(**it) > id).count() as u64)
    }

    /// Whether a device of the member had said this by then.
    pub(super) fn was_said(&self, member: Member, id: u64, is_read: bool, by_us: u64) -> bool {
        let said = self.said.get(&(member, id)).copied().unwrap_or_default();
        let first = if is_read { said.read_us } else { said.us };
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
