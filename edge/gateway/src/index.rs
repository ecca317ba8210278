//! Who of this shard is in which channel: users with their connections, channels with their members.
//!
//! A channel's *cursors* are those of connections that don't simply get every event: most have none. Users and channels
//! name one another by small numbers; each membership knows its place in the channel's list, so that leaving is not a
//! search.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::{Duration, Instant};

use hashbrown::HashMap;
use ringside_edge_protocol::{Attention, Subscription};
use ringside_reactor::ConnectionId;
use ringside_session::cursor::Cursor;
use ringside_types::hash::RandomState;
use ringside_types::{ChannelId, MessageId, UserId};
use slab::Slab;

/// Whose membership ended is still told what became of what they had said before, for so long: the edge goes on listening to
/// a channel that nobody here is in. Nothing else of the channel goes to them.
const LAST_WORDS: Duration = Duration::from_secs(60);

#[derive(Debug, Default)]
struct User {
    connections: Vec<ConnectionId>,
    /// By the channel's key: the place in the channel's list of members.
    memberships: BTreeMap<u32, u32>,
    /// How they are notified while they are away.
    attention: Option<Arc<Attention>>,
    /// Memberships that ended a moment ago.
    left: Vec<Left>,
}

/// A membership that ended.
#[derive(Debug, Clone, Copy)]
struct Left {
    channel: ChannelId,
    /// What is said from here on belongs to the membership that came after.
    below: MessageId,
    until: Instant,
}

/// A user who is here, in as many bytes as it takes to compare them.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct UserKey(u32);

/// A channel that has members here.
#[derive(Debug)]
pub(crate) struct Channel {
    pub(crate) id: ChannelId,
    /// The last record handed on; `None`: the edge's join is not answered yet.
    pub(crate) last: Option<MessageId>,
    members: Vec<u32>,
    /// Sorted, for while all members sync there are as many as they.
    cursors: BTreeMap<ConnectionId, Cursor>,
    /// Up to where messages are hidden from members; most have none.
    history_starts: BTreeMap<u32, MessageId>,
}

#[derive(Debug, Default)]
pub(crate) struct Index {
    users: Slab<User>,
    user_keys: HashMap<UserId, u32, RandomState>,
    channels: Slab<Channel>,
    channel_keys: HashMap<ChannelId, u32, RandomState>,
    /// Users who are away: where there are none, nobody is looked for.
    away_count: usize,
}

impl Index {
    /// A connection of a user came in.
    pub(crate) fn connect(&mut self, id: UserId, connection: ConnectionId) {
        let Self { users, user_keys, .. } = self;
        let key = *user_keys.entry(id).or_insert_with(|| users.insert(User::default()) as u32);
        users[key as usize].connections.push(connection);
    }

    /// A connection is gone; the last one takes the user's memberships with it.
    pub(crate) fn disconnect(&mut self, id: UserId, connection: ConnectionId) {
        let Some(&key) = self.user_keys.get(&id) else { return };
        let user = &mut self.users[key as usize];
        user.connections.retain(|one| *one != connection);
        let is_last = user.connections.is_empty();
        let channels: Vec<u32> = user.memberships.keys().copied().collect();
        for channel in channels {
            self.channels[channel as usize].cursors.remove(&connection);
            if is_last {
                self.leave_key(key, channel);
            }
        }
        if is_last {
            self.away_count -= usize::from(self.users.remove(key as usize).attention.is_some());
            self.user_keys.remove(&id);
        }
    }

    /// A user who is here is a member; false: known already, or not here. `last` counts for a channel that is new here.
    pub(crate) fn join(&mut self, user: UserId, subscription: Subscription) -> bool {
        let Subscription { channel_id: channel, last, sees_above, .. } = subscription;
        let Some(&user_key) = self.user_keys.get(&user) else { return false };
        let channels = &mut self.channels;
        let channel_key = *self.channel_keys.entry(channel).or_insert_with(|| {
            channels.insert(Channel {
                id: channel,
                last,
                members: Vec::new(),
                cursors: BTreeMap::new(),
                history_starts: BTreeMap::new(),
            }) as u32
        });
        if sees_above != MessageId::ZERO {
            let history_start =
                self.channels[channel_key as usize].history_starts.entry(user_key).or_default();
            *history_start = sees_above.max(*history_start);
        }
        let user = &mut self.users[user_key as usize];
        if user.memberships.contains_key(&channel_key) {
            return false;
        }
        let members = &mut self.channels[channel_key as usize].members;
        user.memberships.insert(channel_key, members.len() as u32);
        members.push(user_key);
        true
    }

    /// A user is a member no longer; false: was none here.
    pub(crate) fn leave(&mut self, user: UserId, channel: ChannelId) -> bool {
        let keys = (self.user_keys.get(&user), self.channel_keys.get(&channel));
        let (Some(&user_key), Some(&channel_key)) = keys else { return false };
        let User { connections, .. } = &self.users[user_key as usize];
        for connection in connections {
            self.channels[channel_key as usize].cursors.remove(connection);
        }
        self.leave_key(user_key, channel_key)
    }

    /// What a user who has just left had said before is still to be told to them.
    pub(crate) fn hear_out(&mut self, user: UserId, channel: ChannelId, now: Instant) {
        let Some(&key) = self.user_keys.get(&user) else { return };
        let left = &mut self.users[key as usize].left;
        left.retain(|left| left.until > now && left.channel != channel);
        left.push(Left { channel, below: MessageId(u64::MAX), until: now + LAST_WORDS });
    }

    /// A user is a member again as of `from_id`.
    pub(crate) fn came_back(&mut self, user: UserId, channel: ChannelId, from_id: MessageId) {
        let Some(&key) = self.user_keys.get(&user) else { return };
        let left = self.users[key as usize].left.iter_mut().find(|left| left.channel == channel);
        if let Some(left) = left {
            left.below = left.below.min(from_id);
        }
    }

    /// The connections that are told of the event `id` of a channel because its author, whose they are, has left.
    pub(crate) fn heard_out(
        &self,
        author: UserId,
        channel: ChannelId,
        id: MessageId,
        now: Instant,
    ) -> &[ConnectionId] {
        let Some(&key) = self.user_keys.get(&author) else { return &[] };
        let User { left, connections, .. } = &self.users[key as usize];
        let applies = |left: &Left| left.channel == channel && id < left.below && now < left.until;
        if left.iter().any(applies) { connections } else { &[] }
    }

    fn leave_key(&mut self, user_key: u32, channel_key: u32) -> bool {
        let Some(place) = self.users[user_key as usize].memberships.remove(&channel_key) else {
            return false;
        };
        let channel = &mut self.channels[channel_key as usize];
        channel.members.swap_remove(place as usize);
        channel.history_starts.remove(&user_key);
        if let Some(&moved) = channel.members.get(place as usize) {
            let moved = self.users[moved as usize].memberships.get_mut(&channel_key);
            *moved.expect("a member of the list knows the channel") = place;
        }
        if channel.members.is_empty() {
            let id = self.channels.remove(channel_key as usize).id;
            self.channel_keys.remove(&id);
        }
        true
    }

    pub(crate) fn is_member(&self, user: UserId, channel: ChannelId) -> bool {
        let keys = (self.user_keys.get(&user), self.channel_keys.get(&channel));
        let (Some(&user), Some(&channel)) = keys else { return false };
        self.users[user as usize].memberships.contains_key(&channel)
    }

    pub(crate) fn channel(&mut self, id: ChannelId) -> Option<&mut Channel> {
        self.channels.get_mut(*self.channel_keys.get(&id)? as usize)
    }

    /// The last record of a channel that was handed on.
    pub(crate) fn last_record(&self, id: ChannelId) -> Option<MessageId> {
        self.channels.get(*self.channel_keys.get(&id)? as usize)?.last
    }

    /// The connections of a user.
    pub(crate) fn connections(&self, user: UserId) -> &[ConnectionId] {
        self.user_keys.get(&user).map_or(&[], |key| &self.users[*key as usize].connections)
    }

    /// A user who is here is away, and notified so; `None`: is not away.
    pub(crate) fn set_attention(&mut self, user: UserId, attention: Option<Arc<Attention>>) {
        let Some(&key) = self.user_keys.get(&user) else { return };
        self.away_count += usize::from(attention.is_some());
        let before = std::mem::replace(&mut self.users[key as usize].attention, attention);
        self.away_count -= usize::from(before.is_some());
    }

    /// Whether any user who is here is away.
    pub(crate) fn is_anyone_away(&self) -> bool {
        self.away_count > 0
    }

    /// Calls `notify` for every member of a channel who is away and may see this message.
    pub(crate) fn each_away(
        &self,
        channel: ChannelId,
        message: MessageId,
        mut notify: impl FnMut(UserKey, &Attention, &[ConnectionId]),
    ) {
        let Some(&key) = self.channel_keys.get(&channel) else { return };
        let channel = &self.channels[key as usize];
        for key in &channel.members {
            let user = &self.users[*key as usize];
            let is_hidden = channel.history_starts.get(key).is_some_and(|above| message <= *above);
            if let Some(attention) = user.attention.as_ref().filter(|_| !is_hidden) {
                notify(UserKey(*key), attention, &user.connections);
            }
        }
    }

    /// Calls `deliver` for every connection that takes the event `id` of a channel, which becomes its last, and says
    /// whether the message that it tells of is hidden from the user. False: it is not due, or known already.
    pub(crate) fn fan_out(
        &mut self,
        channel: ChannelId,
        id: MessageId,
        tells_of: Option<MessageId>,
        mut deliver: impl FnMut(ConnectionId, bool),
    ) -> bool {
        let Some(&key) = self.channel_keys.get(&channel) else { return false };
        let channel = &mut self.channels[key as usize];
        // Before the join's answer nothing is due; what is known already was delivered.
        if channel.last.is_none_or(|last| id <= last) {
            return false;
        }
        channel.last = Some(id);
        for user in &channel.members {
            let is_hidden = !channel.history_starts.is_empty()
                && tells_of
                    .is_some_and(|id| channel.history_starts.get(user).is_some_and(|above| id <= *above));
            for connection in &self.users[*user as usize].connections {
                if channel.cursors.get(connection).is_none_or(|cursor| cursor.takes(id)) {
                    deliver(*connection, is_hidden);
                }
            }
        }
        channel.cursors.retain(|_, cursor| !cursor.is_plain(id));
        true
    }

    /// Calls `deliver` for every connection of every member of a channel that `takes` lets through.
    pub(crate) fn each_member(
        &self,
        channel: ChannelId,
        takes: impl Fn(UserKey) -> bool,
        mut deliver: impl FnMut(UserKey, ConnectionId),
    ) {
        let Some(&key) = self.channel_keys.get(&channel) else { return };
        for user in self.channels[key as usize].members.iter().map(|key| UserKey(*key)) {
            if takes(user) {
                for connection in &self.users[user.0 as usize].connections {
                    deliver(user, *connection);
                }
            }
        }
    }

    /// The number under which a user who is here is known, until they are gone.
    pub(crate) fn user_key(&self, user: UserId) -> Option<UserKey> {
        self.user_keys.get(&user).copied().map(UserKey)
    }

    pub(crate) fn channel_count(&self) -> usize {
        self.channels.len()
    }
}

impl Channel {
    /// Sets a connection's cursor.
    pub(crate) fn set_cursor(&mut self, connection: ConnectionId, cursor: Cursor) {
        let plain = self.last.is_some_and(|last| cursor.is_plain(last));
        if plain {
            self.cursors.remove(&connection);
        } else {
            self.cursors.insert(connection, cursor);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use uuid::Uuid;

    fn user(number: u128) -> UserId {
        UserId(Uuid::from_u128(number))
    }

    fn channel(number: u128) -> ChannelId {
        ChannelId(Uuid::from_u128(100 + number))
    }

    fn connection(number: u64) -> ConnectionId {
        ConnectionId::from_u64(1 << 32 | number)
    }

    fn subscription(number: u128, last: Option<u64>) -> Subscription {
        Subscription {
            channel_id: channel(number),
            last: last.map(MessageId),
            sees_above: MessageId::ZERO,
            waiting: MessageId::ZERO,
        }
    }

    fn reached(index: &mut Index, of: ChannelId, id: u64) -> Vec<u64> {
        let mut reached = Vec::new();
        index.fan_out(of, MessageId(id), None, |one, _| reached.push(u64::from(one.slot())));
        reached.sort_unstable();
        reached
    }

    /// Users 1, 2 and 3 with a connection each, and a second one of user 3, all in channel 1.
    fn peopled() -> Index {
        let mut index = Index::default();
        for (of, number) in [(1, 1), (2, 2), (3, 3), (3, 4)] {
            index.connect(user(of), connection(number));
            index.join(user(of), subscription(1, Some(10)));
        }
        index
    }

    #[test]
    fn an_event_goes_once_to_every_connection_of_every_member() {
        let mut index = peopled();
        assert_eq!(reached(&mut index, channel(1), 11), [1, 2, 3, 4]);
        assert!(reached(&mut index, channel(1), 11).is_empty(), "known");
        assert!(reached(&mut index, channel(2), 12).is_empty(), "unknown channel");
    }

    #[test]
    fn who_left_or_disconnected_gets_nothing_and_nobody_else_loses_anything() {
        let mut index = peopled();
        assert!(index.leave(user(1), channel(1)) && !index.leave(user(1), channel(1)));
        assert_eq!(reached(&mut index, channel(1), 11), [2, 3, 4]);
        index.disconnect(user(3), connection(3));
        assert_eq!(reached(&mut index, channel(1), 12), [2, 4]);
        index.disconnect(user(3), connection(4));
        assert!(!index.is_member(user(3), channel(1)) && index.is_member(user(2), channel(1)));
        index.disconnect(user(2), connection(2));
        assert_eq!(index.channel_count(), 0);
    }

    #[test]
    fn a_reading_connection_gets_no_events_and_a_floor_holds_back_what_was_read() {
        let mut index = peopled();
        let known = index.channel(channel(1)).expect("known");
        known.set_cursor(connection(1), Cursor::Reading);
        known.set_cursor(connection(2), Cursor::Live { floor: MessageId(12) });
        assert_eq!(reached(&mut index, channel(1), 12), [3, 4]);
        assert_eq!(reached(&mut index, channel(1), 13), [2, 3, 4]);
        assert!(index.channel(channel(1)).expect("known").cursors.contains_key(&connection(1)));
        assert!(
            !index.channel(channel(1)).expect("known").cursors.contains_key(&connection(2)),
            "plain again"
        );
    }

    #[test]
    fn nothing_is_due_before_the_join_is_answered() {
        let mut index = Index::default();
        index.connect(user(1), connection(1));
        index.join(user(1), subscription(1, None));
        assert!(reached(&mut index, channel(1), 5).is_empty());
        index.channel(channel(1)).expect("known").last = Some(MessageId(5));
        assert_eq!(reached(&mut index, channel(1), 6), [1]);
    }

    /// Random joins, leaves and ends against a plain model.
    #[test]
    fn any_sequence_agrees_with_a_model() {
        use std::collections::BTreeSet;
        let mut index = Index::default();
        let mut model: BTreeSet<(u128, u128)> = BTreeSet::new();
        let mut here: BTreeSet<u128> = BTreeSet::new();
        let mut state = 7_u64;
        for step in 0..20_000_u64 {
            state = state.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
            let (who, which) = (u128::from(state >> 33) % 9, u128::from(state >> 50) % 5);
            match (state >> 60) % 4 {
                0 if here.insert(who) => {
                    index.connect(user(who), connection(who as u64));
                }
                1 if here.contains(&who) => {
                    assert_eq!(
                        index.join(user(who), subscription(which, Some(0))),
                        model.insert((which, who))
                    );
                }
                2 => assert_eq!(index.leave(user(who), channel(which)), model.remove(&(which, who))),
                3 if state.is_multiple_of(5) && here.remove(&who) => {
                    index.disconnect(user(who), connection(who as u64));
                    model.retain(|(_, member)| *member != who);
                }
                _ => {}
            }
            let expected: Vec<u64> =
                model.iter().filter(|(of, _)| *of == which).map(|(_, who)| *who as u64).collect();
            assert_eq!(reached(&mut index, channel(which), step + 1), expected, "step {step}");
        }
    }
}
