//! Who of a channel is here: the registry's memberships by channel instead of by user.

use std::slice;

use hashbrown::hash_map::Entry;
use hashbrown::{HashMap, HashSet, hash_set};
use ringside_types::hash::RandomState;
use ringside_types::{ChannelId, UserId};

/// So many users are searched one by one.
const FEW: usize = 32;

/// The users who have a membership in each channel.
#[derive(Debug, Default)]
pub(super) struct ChannelUsers(HashMap<ChannelId, Users, RandomState>);

/// Most channels have few members on one edge, and there are many channels: a list takes a fifth of a set's memory.
#[derive(Debug)]
enum Users {
    Few(Vec<UserId>),
    Many(HashSet<UserId, RandomState>),
}

impl ChannelUsers {
    /// The user was not in it.
    pub(super) fn add(&mut self, channel: ChannelId, user: UserId) {
        match self.0.entry(channel) {
            Entry::Vacant(vacant) => {
                vacant.insert(Users::Few(vec![user]));
            }
            Entry::Occupied(mut users) => users.get_mut().add(user),
        }
    }

    pub(super) fn remove(&mut self, channel: ChannelId, user: UserId) {
        if let Entry::Occupied(mut users) = self.0.entry(channel)
            && users.get_mut().remove(user)
        {
            users.remove();
        }
    }

    pub(super) fn of(&self, channel: ChannelId) -> impl Iterator<Item = UserId> {
        self.0.get(&channel).into_iter().flat_map(Users::iter)
    }
}

impl Users {
    fn add(&mut self, user: UserId) {
        match self {
            Self::Few(few) if few.len() < FEW => few.push(user),
            Self::Few(few) => {
                let mut many: HashSet<_, _> = few.drain(..).collect();
                many.insert(user);
                *self = Self::Many(many);
            }
            Self::Many(many) => {
                many.insert(user);
            }
        }
    }

    /// Whether nobody is left.
    fn remove(&mut self, user: UserId) -> bool {
        match self {
            Self::Few(few) => {
                few.retain(|one| *one != user);
                few.is_empty()
            }
            Self::Many(many) => {
                many.remove(&user);
                many.is_empty()
            }
        }
    }

    fn iter(&self) -> Iter<'_> {
        match self {
            Self::Few(few) => Iter::Few(few.iter()),
            Self::Many(many) => Iter::Many(many.iter()),
        }
    }
}

enum Iter<'a> {
    Few(slice::Iter<'a, UserId>),
    Many(hash_set::Iter<'a, UserId>),
}

impl Iterator for Iter<'_> {
    type Item = UserId;

    fn next(&mut self) -> Option<UserId> {
        match self {
            Self::Few(few) => few.next().copied(),
            Self::Many(many) => many.next().copied(),
        }
    }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use proptest::prelude::*;
    use uuid::Uuid;

    use super::*;

    #[test]
    fn few_users_are_a_list_and_more_are_searched_no_more_one_by_one() {
        let (mut channel_users, channel) = (ChannelUsers::default(), ChannelId(Uuid::from_u128(1)));
        for count in 1..=FEW + 1 {
            channel_users.add(channel, UserId(Uuid::from_u128(count as u128)));
            let is_list = matches!(channel_users.0.get(&channel), Some(Users::Few(_)));
            assert_eq!(is_list, count <= FEW, "{count} users");
        }
    }

    proptest! {
        #[test]
        fn it_is_a_set_for_each_channel(steps in prop::collection::vec((0..2_u128, 0..60_u128, any::<bool>()), 0..400)) {
            let (mut channel_users, mut model) = (ChannelUsers::default(), BTreeSet::new());
            for (channel, user, comes) in steps {
                let (channel, user) = (ChannelId(Uuid::from_u128(channel)), UserId(Uuid::from_u128(user)));
                if comes && model.insert((channel, user)) {
                    channel_users.add(channel, user);
                } else if !comes {
                    model.remove(&(channel, user));
                    channel_users.remove(channel, user);
                }
            }
            for channel in [0, 1, 2].map(|number| ChannelId(Uuid::from_u128(number))) {
                let here: BTreeSet<_> = channel_users.of(channel).map(|user| (channel, user)).collect();
                let expected: BTreeSet<_> = model.iter().filter(|(one, _)| *one == channel).copied().collect();
                prop_assert_eq!(&here, &expected);
                prop_assert_eq!(channel_users.0.contains_key(&channel), !expected.is_empty(), "nothing empty is kept");
            }
        }
    }
}
