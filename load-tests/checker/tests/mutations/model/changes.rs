//! Edits, deletions, reactions and pins in the model.

use std::collections::HashMap;

use rand::RngExt;
use ringside_checker::history::{ClientHistory, Event, Record, SeenMessage};
use ringside_test_client::amendment::{Amendment, Change, Changed};
use ringside_test_client::eviction::Eviction;
use uuid::Uuid;

use super::{CHANNELS, CLIENTS, Model, channel_id, is_member, user_of};

impl Model {
    /// Somebody asks for a change and the server makes it at once; only the answers travel.
    pub(super) fn amend(&mut self) {
        let device = self.random.random_range(0..CLIENTS);
        let channel = self.random.random_range(0..CHANNELS);
        if !self.devices[device].link.open || !is_member(device, channel) || self.stored[channel].is_empty() {
            return;
        }
        let at = self.random.random_range(0..self.stored[channel].len());
        let is_own = self.stored[channel][at].sender == user_of(device);
        let amendment = match self.random.random_range(0..6u32) {
            0 | 1 if is_own => Amendment::Edit { content: format!("edited at {}", self.now_us) },
            2 if is_own => Amendment::Delete,
            0..=3 => Amendment::React { emoji: "x".into(), added: self.random.random_bool(0.7) },
            _ => Amendment::Pin { pinned: self.random.random_bool(0.7) },
        };
        let client_id = Uuid::from_u128(self.random.random());
        let message_id = self.stored[channel][at].message_id;
        let asked = Event::Asked {
            channel: channel_id(channel),
            client_id,
            message_id,
            amendment: amendment.clone(),
        };
        self.record(device, asked);
        let channel_name = channel_id(channel);
        let answer = if self.stored[channel][at].deleted {
            Event::Refused { channel: channel_name, client_id, code: "not_found".into() }
        } else {
            if let Some(what) = self.effect(channel, at, device, amendment) {
                self.publish(channel, what);
            }
            Event::Acked { channel: channel_name, client_id }
        };
        self.devices[device].link.down.push_back(answer);
    }

    /// The change that the request makes; none if it is so already.
    fn effect(&mut self, channel: usize, at: usize, device: usize, amendment: Amendment) -> Option<Changed> {
        let message_id = self.stored[channel][at].message_id;
        let reactions = self.reactions(channel, message_id);
        let pinned_now = self.pins(channel).contains(&message_id);
        let message: &mut SeenMessage = &mut self.stored[channel][at];
        match amendment {
            Amendment::Edit { content } => {
                message.content.clone_from(&content);
                message.edited = true;
                Some(Changed::Edited { message_id, content })
            }
            Amendment::Delete => {
                message.content.clear();
                message.deleted = true;
                Some(Changed::Deleted { message_id })
            }
            Amendment::React { emoji, added } => {
                let user_id = user_of(device);
                let others = reactions.iter().filter(|user| **user != user_id).count() as u64;
                let count = others + u64::from(added);
                (reactions.contains(&user_id) != added).then_some(Changed::Reacted {
                    message_id,
                    emoji,
                    user_id,
                    added,
                    count,
                })
            }
            Amendment::Pin { pinned } => {
                (pinned_now != pinned).then_some(Changed::Pinned { message_id, pinned })
            }
        }
    }

    fn publish(&mut self, channel: usize, what: Changed) {
        let number = self.changes[channel].len() as u64 + 1;
        let change = Change { number, what };
        self.changes[channel].push(change.clone());
        self.fan_out(channel, &Event::Changed { channel: channel_id(channel), change });
    }

    fn reactions(&self, channel: usize, of: u64) -> Vec<Uuid> {
        let mut users = Vec::new();
        for change in &self.changes[channel] {
            if let Changed::Reacted { message_id, user_id, added, .. } = change.what
                && message_id == of
            {
                users.retain(|user| *user != user_id);
                users.extend(added.then_some(user_id));
            }
        }
        users
    }

    pub(super) fn pins(&self, channel: usize) -> Vec<u64> {
        let mut pins: HashMap<u64, bool> = HashMap::new();
        for change in &self.changes[channel] {
            match change.what {
                Changed::Pinned { message_id, pinned } => pins.insert(message_id, pinned),
                Changed::Deleted { message_id } => pins.insert(message_id, false),
                _ => None,
            };
        }
        pins.into_iter().filter_map(|(id, pinned)| pinned.then_some(id)).collect()
    }

    /// Somebody who saw all of channel 0 until they were evicted half-way.
    pub(super) fn evicted_client(&self) -> ClientHistory {
        let half = self.changes[0].len() / 2;
        let seen = self.changes[0][..half].iter().cloned();
        let mut events: Vec<Event> =
            seen.map(|change| Event::Changed { channel: channel_id(0), change }).collect();
        events.push(Event::Evicted { channel: Some(channel_id(0)), eviction: Eviction::Removed });
        let record = |(at_us, event)| Record { at_us, connection: 1, event };
        let records = (1..).zip(events).map(record).collect();
        ClientHistory { client: CLIENTS as u32, user_id: Uuid::from_u128(0x3000), settled: false, records }
    }
}
