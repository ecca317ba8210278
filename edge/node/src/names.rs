//! Members of channels by name, as far as messages of this edge have mentioned them.
//!
//! Only members are remembered: of a name that nobody in the channel has, the backend is asked each time, so that who has
//! just become a member is mentioned before `control` tells of it. Who stops being one is forgotten with that record.

use bytes::Bytes;
use hashbrown::HashMap;
use ringside_application::mentions::NamingCommand;
use ringside_types::hash::RandomState;
use ringside_types::{ChannelId, UserId};

/// Names known at the most, about 80 bytes each; with one more all are asked about anew.
pub(crate) const NAMES_MAX: usize = 1 << 16;

/// The members of many channels, by name.
#[derive(Debug, Default)]
pub(crate) struct MemberNames {
    channels: HashMap<ChannelId, HashMap<Box<str>, UserId, RandomState>, RandomState>,
    count: usize,
    removals: u64,
}

impl MemberNames {
    /// The record with the members whom its text names; `None`: some of its names are not known.
    pub(crate) fn write_into(&self, channel: ChannelId, record: &Bytes) -> Option<Bytes> {
        let Some(command) = NamingCommand::read(record) else { return Some(record.clone()) };
        let members = self.channels.get(&channel);
        let find = |name: &String| members?.get(name.as_str()).copied();
        let users = command.names().iter().map(find).collect::<Option<_>>()?;
        Some(command.encode(users))
    }

    /// The record with the members whom its text names, as far as they are known or the backend has told of them. Where it
    /// could not (`None`), a change of a message stays as it is.
    pub(crate) fn write_told_into(
        &self,
        channel: ChannelId,
        record: &Bytes,
        told: Option<&[(String, UserId)]>,
    ) -> Bytes {
        let command = NamingCommand::read(record).filter(|command| told.is_some() || !command.is_edit());
        let Some(command) = command else { return record.clone() };
        let told = told.unwrap_or_default();
        let members = self.channels.get(&channel);
        let find = |name: &String| {
            let known = members.and_then(|members| members.get(name.as_str()));
            known.or_else(|| told.iter().find(|(told, _)| told == name).map(|(_, user)| user)).copied()
        };
        let users = command.names().iter().filter_map(find).collect();
        command.encode(users)
    }

    /// Adds the names in a record's text that are not known to `names`, each once.
    pub(crate) fn add_unknown(&self, channel: ChannelId, record: &Bytes, names: &mut Vec<String>) {
        let Some(command) = NamingCommand::read(record) else { return };
        let members = self.channels.get(&channel);
        let is_known = |name: &str| members.is_some_and(|members| members.contains_key(name));
        for name in command.names() {
            if !is_known(name) && !names.contains(name) {
                names.push(name.clone());
            }
        }
    }

    /// How many times channels have lost members: an answer to a question that was asked before the last of them may tell
    /// of one who has gone.
    pub(crate) fn removals(&self) -> u64 {
        self.removals
    }

    /// Takes in members of a channel.
    pub(crate) fn learn(&mut self, channel: ChannelId, named: &[(String, UserId)]) {
        if self.count + named.len() > NAMES_MAX {
            self.channels.clear();
            self.count = 0;
        }
        if named.is_empty() {
            return;
        }
        let members = self.channels.entry(channel).or_default();
        let before = members.len();
        members.extend(named.iter().map(|(name, user)| (name.as_str().into(), *user)));
        self.count += members.len() - before;
    }

    /// A channel has lost members.
    pub(crate) fn forget(&mut self, channel: ChannelId) {
        self.removals += 1;
        self.count -= self.channels.remove(&channel).map_or(0, |members| members.len());
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use uuid::Uuid;

    #[test]
    fn so_many_names_are_known_at_the_most() {
        let mut names = MemberNames::default();
        let channel = |number| ChannelId(Uuid::from_u128(number));
        let named = |name: usize| (name.to_string(), UserId(Uuid::from_u128(name as u128)));
        names.learn(channel(1), &(0..NAMES_MAX).map(named).collect::<Vec<_>>());
        names.learn(channel(1), &[]);
        assert_eq!((names.channels.len(), names.count), (1, NAMES_MAX));
        names.learn(channel(2), &[named(1), named(2), named(1)]);
        assert_eq!((names.channels.len(), names.count), (1, 2));
        names.learn(channel(2), &[named(3)]);
        assert_eq!(names.count, 3, "the others are known already");
        names.forget(channel(2));
        names.forget(channel(2));
        assert_eq!((names.channels.len(), names.count, names.removals()), (0, 0, 2));
        names.learn(channel(3), &[named(1)]);
        names.learn(channel(1), &(0..NAMES_MAX).map(named).collect::<Vec<_>>());
        assert_eq!((names.channels.len(), names.count), (1, NAMES_MAX), "one too many");
    }
}
