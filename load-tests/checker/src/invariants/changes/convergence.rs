//! What each client put together from live events and syncs equals what REST says in the end.

use std::collections::{BTreeMap, BTreeSet, HashMap, HashSet};

use ringside_test_client::amendment::{Change, Changed};
use uuid::Uuid;

use super::{changes_of, unwitnessed, witnessed};
use crate::history::{ChannelHistory, ClientHistory, Event, SeenMessage};
use crate::index::Index;
use crate::verdict::{Fault, Verdict};

/// One channel as a client knows it.
#[derive(Default)]
struct ChannelView {
    messages: BTreeMap<u64, MessageView>,
    pins: BTreeMap<u64, (u64, bool)>,
    changes: BTreeMap<u64, Changed>,
}

#[derive(Default)]
struct MessageView {
    content: String,
    deleted: bool,
    /// The greatest edit that was applied; an older one that comes again changes nothing.
    edit: u64,
}

/// Reactions by message and emoji: the count that the last change names.
type Counts = BTreeMap<(u64, String), u64>;

impl ChannelView {
    fn message(&mut self, seen: &SeenMessage, is_newest: bool) {
        let is_known = self.messages.contains_key(&seen.message_id);
        let text = self.messages.entry(seen.message_id).or_default();
        if is_newest || !is_known {
            text.deleted |= seen.deleted;
            text.content.clone_from(&seen.content);
        }
    }

    fn change(&mut self, change: &Change) {
        let number = change.number;
        match &change.what {
            Changed::Edited { message_id, content } => {
                let text = self.messages.entry(*message_id).or_default();
                if number > text.edit && !text.deleted {
                    text.edit = number;
                    text.content.clone_from(content);
                }
            }
            Changed::Deleted { message_id } => {
                let text = self.messages.entry(*message_id).or_default();
                text.deleted = true;
                text.content.clear();
            }
            Changed::Pinned { message_id, pinned } => {
                let known = self.pins.entry(*message_id).or_default();
                if number > known.0 {
                    *known = (number, *pinned);
                }
            }
            Changed::Reacted { .. } | Changed::Other { .. } => {}
        }
        self.changes.insert(number, change.what.clone());
    }

    /// The reactions by the changes in their order, and the first change whose count is not that of those before it.
    fn reactions(&self) -> (Counts, Option<String>) {
        let mut counts = Counts::new();
        let mut users: BTreeMap<(u64, &str), BTreeSet<Uuid>> = BTreeMap::new();
        let mut wrong = None;
        for (number, change) in &self.changes {
            let Changed::Reacted { message_id, emoji, user_id, added, count } = change else { continue };
            counts.insert((*message_id, emoji.clone()), *count);
            let users = users.entry((*message_id, emoji)).or_default();
            if *added {
                users.insert(*user_id)
            } else {
                users.remove(user_id)
            };
            if users.len() as u64 != *count && wrong.is_none() {
                wrong = Some(format!(
                    "change {number}: {count} reactions {emoji} on message {message_id}, by the changes {}",
                    users.len()
                ));
            }
        }
        (counts, wrong)
    }
}

pub(super) fn check(index: &Index<'_>, verdict: &mut Verdict) {
    let mut ends: HashMap<Uuid, ChannelView> = HashMap::new();
    for channel in &index.history.channels {
        let mut end = ChannelView::default();
        channel.changes.iter().flatten().for_each(|change| end.change(change));
        if let Some(detail) = end.reactions().1 {
            verdict.add(unwitnessed(channel.channel_id, Fault::ReactionDiverges, detail));
        }
        ends.insert(channel.channel_id, end);
    }
    for client in &index.history.clients {
        if client.settled {
            check_client(index, client, &ends, verdict);
        }
    }
}

fn check_client(
    index: &Index<'_>,
    client: &ClientHistory,
    ends: &HashMap<Uuid, ChannelView>,
    verdict: &mut Verdict,
) {
    let mut merged: HashMap<Uuid, ChannelView> = HashMap::new();
    // A client that was reset has to load from REST: what it put together by itself proves nothing.
    let mut reset: HashSet<Uuid> = HashSet::new();
    for record in &client.records {
        match &record.event {
            Event::New { channel, message } => merged.entry(*channel).or_default().message(message, false),
            Event::Page { channel, messages, reset: was_reset, .. } => {
                if *was_reset {
                    reset.insert(*channel);
                }
                let channel = merged.entry(*channel).or_default();
                messages.iter().for_each(|message| channel.message(message, true));
            }
            _ => {}
        }
        let Some((channel, changes)) = changes_of(record) else { continue };
        let channel = merged.entry(channel).or_default();
        changes.iter().for_each(|change| channel.change(change));
    }
    for channel in &index.history.channels {
        let id = channel.channel_id;
        if !channel.members.contains(&client.user_id) || reset.contains(&id) {
            continue;
        }
        let own = merged.remove(&id).unwrap_or_default();
        if let Some((fault, detail)) = compare(channel, &own, &ends[&id]) {
            let Some(last) = client.records.last() else { continue };
            verdict.add(witnessed(client, last, id, fault, detail));
        }
    }
}

fn compare(channel: &ChannelHistory, own: &ChannelView, end: &ChannelView) -> Option<(Fault, String)> {
    let reading = channel.readings.first()?;
    if let Some(number) = end.changes.keys().find(|number| !own.changes.contains_key(number)) {
        return Some((Fault::LostChange, format!("the client settled and never saw change {number}")));
    }
    for seen in &reading.messages {
        let Some(text) = own.messages.get(&seen.message_id) else { continue };
        if text.deleted != seen.deleted || text.content != seen.content {
            let detail = format!(
                "message {} is {:?} (deleted: {}) to the client and {:?} (deleted: {}) to REST",
                seen.message_id, text.content, text.deleted, seen.content, seen.deleted
            );
            return Some((Fault::ViewDiverges, detail));
        }
    }
    let (counts, wrong) = own.reactions();
    if let Some(detail) = wrong {
        return Some((Fault::ReactionDiverges, detail));
    }
    for (key, wanted) in end.reactions().0 {
        let count = counts.get(&key).copied().unwrap_or(0);
        if count != wanted {
            let (message_id, emoji) = key;
            let detail = format!(
                "{count} reactions {emoji} on message {message_id} to the client, {wanted} in the end"
            );
            return Some((Fault::ReactionDiverges, detail));
        }
    }
    let is_there = |id: &u64| own.messages.get(id).is_some_and(|text| !text.deleted);
    let pins: BTreeSet<u64> =
        own.pins.iter().filter(|(id, (_, pinned))| *pinned && is_there(id)).map(|(id, _)| *id).collect();
    let wanted: BTreeSet<u64> = reading.pins.as_ref()?.iter().copied().filter(|id| is_there(id)).collect();
    (pins != wanted)
        .then(|| (Fault::ViewDiverges, format!("the client has the pins {pins:?}, REST {wanted:?}")))
}
