//! Who is connected, and what they are members of: a machine without I/O.
//!
//! Memberships are versioned. A connection's list from the Directory and the changes from `control` may come in any
//! order; of one channel the greater version counts.

mod channel_users;

use std::sync::Arc;
use std::time::Instant;

use hashbrown::HashMap;
use ringside_application::backend::ChannelMembership;
use ringside_edge_protocol::{ConnectionRef, ShardId};
use ringside_session::budget::Budget;
use ringside_types::hash::RandomState;
use ringside_types::{ChannelId, MessageId, SessionId, UserId};

use channel_users::ChannelUsers;

#[derive(Debug, Clone, Copy, Default)]
struct Membership {
    version: u64,
    member: bool,
    /// Whether the user's shards know: by an admission's list, by `MemberAdded`, or by `Departed`.
    told: bool,
    /// Messages up to this record are hidden from the user.
    sees_above: MessageId,
}

#[derive(Debug)]
struct ConnectionState {
    connection: ConnectionRef,
    session_id: SessionId,
    admitted: bool,
    /// Its session ended before it was admitted.
    revoked: bool,
    /// It said that its user is offline.
    says_offline: bool,
}

#[derive(Debug)]
struct OnlineUser {
    budget: Arc<Budget>,
    connections: Vec<ConnectionState>,
    memberships: HashMap<ChannelId, Membership, RandomState>,
}

/// A change of what the edge must listen to.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum ChannelInterest {
    Hold(ChannelId),
    Release(ChannelId),
}

#[derive(Debug, Default)]
pub(crate) struct ConnectionRegistry {
    users: HashMap<UserId, OnlineUser, RandomState>,
    owners: HashMap<ConnectionRef, UserId, RandomState>,
    /// Those with a membership in a channel.
    channel_users: ChannelUsers,
    /// Of users who are gone: what they spent does not come back by reconnecting. Forgotten once nothing is owed.
    resting: HashMap<UserId, Arc<Budget>, RandomState>,
}

impl ConnectionRegistry {
    /// What a user's handshakes and frames are charged to.
    pub(crate) fn budget(&mut self, user: UserId, now: Instant) -> Arc<Budget> {
        if let Some(user_state) = self.users.get(&user) {
            return user_state.budget.clone();
        }
        self.resting.entry(user).or_insert_with(|| Arc::new(Budget::new(now))).clone()
    }

    /// What a connection's user is charged to; `None`: it is gone.
    pub(crate) fn budget_of(&self, connection: ConnectionRef) -> Option<Arc<Budget>> {
        Some(self.users.get(self.owners.get(&connection)?)?.budget.clone())
    }

    /// Forgets the budgets of users who are gone and owe nothing.
    pub(crate) fn forget_rested(&mut self, now: Instant) {
        self.resting.retain(|_, budget| !budget.is_rested(now));
    }

    /// A connection asks to be let in. From here on its user's changes are kept.
    pub(crate) fn open(
        &mut self,
        connection: ConnectionRef,
        user: UserId,
        session_id: SessionId,
        now: Instant,
    ) {
        let budget = self.budget(user, now);
        self.resting.remove(&user);
        self.owners.insert(connection, user);
        let user_state = self.users.entry(user).or_insert_with(|| OnlineUser {
            budget,
            connections: Vec::with_capacity(1),
            memberships: HashMap::default(),
        });
        user_state.connections.push(ConnectionState {
            connection,
            session_id,
            admitted: false,
            revoked: false,
            says_offline: false,
        });
    }

    /// A connection is gone; returns what nobody needs any more, and whose it was.
    pub(crate) fn close(
        &mut self,
        connection: ConnectionRef,
    ) -> Option<(UserId, SessionId, Vec<ChannelInterest>)> {
        let user = self.owners.remove(&connection)?;
        let user_state = self.users.get_mut(&user)?;
        let index = user_state.connections.iter().position(|one| one.connection == connection)?;
        let session_id = user_state.connections.swap_remove(index).session_id;
        let mut released = Vec::new();
        if user_state.connections.is_empty()
            && let Some(user_state) = self.users.remove(&user)
        {
            self.resting.insert(user, user_state.budget);
            user_state.memberships.keys().for_each(|channel| self.channel_users.remove(*channel, user));
            let held = user_state.memberships.into_iter().filter(|(_, membership)| membership.member);
            released.extend(held.map(|(channel, _)| ChannelInterest::Release(channel)));
        }
        Some((user, session_id, released))
    }

    /// The Directory's list of a connecting user; `None`: the connection is gone.
    pub(crate) fn merge(
        &mut self,
        connection: ConnectionRef,
        listed: &[ChannelMembership],
    ) -> Option<Vec<ChannelInterest>> {
        let user = *self.owners.get(&connection)?;
        let changes = listed.iter();
        Some(
            changes.filter_map(|member| self.change(user, member.channel_id, member.version, true)).collect(),
        )
    }

    /// Whether a change of this version says something new of a user who is here.
    pub(crate) fn would_change(&self, user: UserId, channel: ChannelId, version: u64) -> bool {
        let known = self.users.get(&user).map(|user_state| user_state.memberships.get(&channel));
        known.is_some_and(|known| known.is_none_or(|membership| membership.version < version))
    }

    /// A versioned change of one user's membership; `None`: nothing to do, for the user is not here or knows better.
    pub(crate) fn change(
        &mut self,
        user: UserId,
        channel: ChannelId,
        version: u64,
        member: bool,
    ) -> Option<ChannelInterest> {
        let user_state = self.users.get_mut(&user)?;
        let membership = user_state.memberships.entry(channel).or_insert_with(|| {
            self.channel_users.add(channel, user);
            Membership::default()
        });
        if version <= membership.version {
            return None;
        }
        // What the partition says of the user's sight may come before, and is of the membership that goes on.
        let sees_above = if member { membership.sees_above } else { MessageId::ZERO };
        let was =
            std::mem::replace(membership, Membership { version, member, told: false, sees_above }).member;
        match (was, member) {
            (false, true) => Some(ChannelInterest::Hold(channel)),
            (true, false) => Some(ChannelInterest::Release(channel)),
            _ => None,
        }
    }

    /// Messages up to this record are hidden from a member. The list and the word of one membership may come in any
    /// order: the later record counts.
    pub(crate) fn hide(&mut self, user: UserId, channel: ChannelId, sees_above: MessageId) {
        let user_state = self.users.get_mut(&user);
        if let Some(membership) = user_state.and_then(|user_state| user_state.memberships.get_mut(&channel)) {
            membership.sees_above = membership.sees_above.max(sees_above);
        }
    }

    /// The connection may get deliveries now; returns its user's channels, and up to where messages of them are hidden.
    /// `None`: it is gone.
    pub(crate) fn admit(&mut self, connection: ConnectionRef) -> Option<Vec<(ChannelId, MessageId)>> {
        let user_state = self.users.get_mut(self.owners.get(&connection)?)?;
        user_state.connections.iter_mut().find(|one| one.connection == connection)?.admitted = true;
        // A user's other connections learn of a new membership by its `MemberAdded`, which says where to begin; so does
        // this one then.
        let others = user_state.connections.iter().any(|one| one.admitted && one.connection != connection);
        let mut channels = Vec::with_capacity(user_state.memberships.len());
        for (channel, membership) in &mut user_state.memberships {
            if membership.member && (membership.told || !others) {
                membership.told = true;
                channels.push((*channel, membership.sees_above));
            }
        }
        Some(channels)
    }

    /// A session of a user ended (`None`: all of them): those of its connections that wait to be admitted won't be.
    pub(crate) fn revoke(&mut self, user: UserId, session: Option<SessionId>) {
        let Some(user_state) = self.users.get_mut(&user) else { return };
        for one in user_state.connections.iter_mut().filter(|one| !one.admitted) {
            one.revoked |= session.is_none_or(|session| session == one.session_id);
        }
    }

    /// Whether a connection's session ended while it waited.
    pub(crate) fn is_revoked(&self, connection: ConnectionRef) -> bool {
        let user_state = self.owners.get(&connection).and_then(|user| self.users.get(user));
        user_state.is_some_and(|user_state| {
            user_state.connections.iter().any(|one| one.connection == connection && one.revoked)
        })
    }

    /// A connection says whether its user is offline.
    pub(crate) fn say_offline(&mut self, connection: ConnectionRef, is_offline: bool) {
        let user_state = self.owners.get(&connection).and_then(|user| self.users.get_mut(user));
        let mut connections = user_state.into_iter().flat_map(|user_state| &mut user_state.connections);
        if let Some(one) = connections.find(|one| one.connection == connection) {
            one.says_offline = is_offline;
        }
    }

    /// Whether a user is here, and wants to seem not to be: all their connections on this edge say so.
    pub(crate) fn seems_offline(&self, user: UserId) -> bool {
        self.users
            .get(&user)
            .is_some_and(|user_state| user_state.connections.iter().all(|one| one.says_offline))
    }

    /// The session of a connection that is here.
    pub(crate) fn session_of(&self, connection: ConnectionRef) -> Option<SessionId> {
        let user_state = self.users.get(self.owners.get(&connection)?)?;
        let one = user_state.connections.iter().find(|one| one.connection == connection)?;
        Some(one.session_id)
    }

    /// `None`: the user is not here, or nothing is known of them and the channel.
    pub(crate) fn is_member(&self, user: UserId, channel: ChannelId) -> Option<bool> {
        self.users.get(&user)?.memberships.get(&channel).map(|membership| membership.member)
    }

    /// The user's shards are told that they are a member.
    pub(crate) fn tell(&mut self, user: UserId, channel: ChannelId) {
        let user_state = self.users.get_mut(&user);
        if let Some(membership) = user_state.and_then(|user_state| user_state.memberships.get_mut(&channel)) {
            membership.told = membership.member;
        }
    }

    /// Those who are here and members of a channel, or were until this version ended it and are not told of it yet.
    pub(crate) fn of_channel(&self, channel: ChannelId, ended_by: Option<u64>) -> Vec<UserId> {
        let is_one = |user: &UserId| {
            let membership = self.users.get(user).and_then(|user_state| user_state.memberships.get(&channel));
            membership.is_some_and(|membership| match ended_by {
                None => membership.member,
                Some(version) => membership.version == version && !membership.member && !membership.told,
            })
        };
        self.channel_users.of(channel).filter(is_one).collect()
    }

    /// Whether the user's shards are to be told that this version ended their membership: once.
    pub(crate) fn tell_departed(&mut self, user: UserId, channel: ChannelId, version: u64) -> bool {
        let user_state = self.users.get_mut(&user);
        let Some(membership) = user_state.and_then(|user_state| user_state.memberships.get_mut(&channel))
        else {
            return false;
        };
        let is_news = membership.version == version && !membership.member && !membership.told;
        membership.told |= is_news;
        is_news
    }

    /// Whether the user is a member and their shards know it.
    pub(crate) fn is_told(&self, user: UserId, channel: ChannelId) -> bool {
        let membership = self.users.get(&user).and_then(|user_state| user_state.memberships.get(&channel));
        membership.is_some_and(|membership| membership.member && membership.told)
    }

    /// The shards that have admitted connections of a user.
    pub(crate) fn shards_of(&self, user: UserId) -> Vec<ShardId> {
        let connections = self.users.get(&user).map_or(&[][..], |user_state| &user_state.connections);
        let mut shards: Vec<ShardId> = Vec::new();
        for one in connections.iter().filter(|one| one.admitted) {
            if !shards.contains(&one.connection.shard) {
                shards.push(one.connection.shard);
            }
        }
        shards
    }

    pub(crate) fn user_count(&self) -> usize {
        self.users.len()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use ringside_session::budget::{Allowance, Charged};
    use uuid::Uuid;

    const USER: UserId = UserId(Uuid::from_u128(1));
    const CHANNEL: ChannelId = ChannelId(Uuid::from_u128(2));
    const SESSION: SessionId = SessionId(Uuid::from_u128(3));
    const CONNECTION: ConnectionRef = ConnectionRef { shard: ShardId(1), token: 9 };

    fn listed(version: u64) -> ChannelMembership {
        ChannelMembership { channel_id: CHANNEL, version, sees_above: MessageId::ZERO }
    }

    #[test]
    fn what_a_user_spent_does_not_come_back_by_reconnecting() {
        let (mut registry, now) = (ConnectionRegistry::default(), Instant::now());
        let allowance = Allowance { per_second: 10, burst: 10 };
        registry.open(CONNECTION, USER, SESSION, now);
        let budget = registry.budget_of(CONNECTION).expect("here");
        assert_eq!(budget.charge(allowance, 10, now), Charged::Granted);
        registry.close(CONNECTION);
        registry.forget_rested(now);
        assert!(matches!(registry.budget(USER, now).charge(allowance, 10, now), Charged::Refused { .. }));
        registry.open(CONNECTION, USER, SESSION, now);
        assert!(Arc::ptr_eq(&budget, &registry.budget_of(CONNECTION).expect("here")));
        registry.close(CONNECTION);
        registry.forget_rested(now + std::time::Duration::from_secs(60));
        assert!(registry.resting.is_empty(), "nothing is owed any more");
    }

    #[test]
    fn a_removal_that_overtakes_the_list_stands() {
        let mut registry = ConnectionRegistry::default();
        registry.open(CONNECTION, USER, SESSION, Instant::now());
        assert_eq!(registry.change(USER, CHANNEL, 3, false), None);
        assert_eq!(registry.merge(CONNECTION, &[listed(2)]), Some(vec![]));
        assert_eq!(registry.admit(CONNECTION), Some(vec![]));
        assert_eq!(registry.is_member(USER, CHANNEL), Some(false));
    }

    #[test]
    fn channels_are_held_once_per_user_and_released_with_the_last_connection() {
        let mut registry = ConnectionRegistry::default();
        let second = ConnectionRef { token: 10, ..CONNECTION };
        registry.open(CONNECTION, USER, SESSION, Instant::now());
        assert_eq!(registry.merge(CONNECTION, &[listed(2)]), Some(vec![ChannelInterest::Hold(CHANNEL)]));
        registry.open(second, USER, SESSION, Instant::now());
        assert_eq!(registry.merge(second, &[listed(2)]), Some(vec![]));
        assert_eq!(registry.close(CONNECTION), Some((USER, SESSION, vec![])));
        assert_eq!(registry.close(second), Some((USER, SESSION, vec![ChannelInterest::Release(CHANNEL)])));
        assert_eq!(registry.close(second), None);
        assert_eq!(registry.user_count(), 0);
    }

    #[test]
    fn a_member_is_told_by_the_admission_or_by_word() {
        let mut registry = ConnectionRegistry::default();
        registry.open(CONNECTION, USER, SESSION, Instant::now());
        registry.merge(CONNECTION, &[listed(2)]);
        assert!(!registry.is_told(USER, CHANNEL));
        registry.admit(CONNECTION);
        assert!(registry.is_told(USER, CHANNEL));
        registry.change(USER, CHANNEL, 3, false);
        registry.change(USER, CHANNEL, 4, true);
        assert!(!registry.is_told(USER, CHANNEL), "a membership of its own");
        let second = ConnectionRef { token: 10, ..CONNECTION };
        registry.open(second, USER, SESSION, Instant::now());
        assert_eq!(registry.admit(second), Some(vec![]), "the word of it comes to both connections");
        registry.tell(USER, CHANNEL);
        assert!(registry.is_told(USER, CHANNEL));
    }

    #[test]
    fn of_two_words_of_what_is_hidden_the_later_record_counts_until_the_membership_ends() {
        let mut registry = ConnectionRegistry::default();
        registry.open(CONNECTION, USER, SESSION, Instant::now());
        registry.merge(CONNECTION, &[listed(2)]);
        for record in [5, 8, 7] {
            registry.hide(USER, CHANNEL, MessageId(record));
        }
        assert_eq!(registry.admit(CONNECTION), Some(vec![(CHANNEL, MessageId(8))]));
        registry.change(USER, CHANNEL, 3, false);
        registry.change(USER, CHANNEL, 4, true);
        registry.tell(USER, CHANNEL);
        assert_eq!(registry.admit(CONNECTION), Some(vec![(CHANNEL, MessageId::ZERO)]));
    }

    #[test]
    fn only_admitted_connections_get_mail() {
        let mut registry = ConnectionRegistry::default();
        registry.open(CONNECTION, USER, SESSION, Instant::now());
        assert_eq!(registry.shards_of(USER), []);
        registry.admit(CONNECTION);
        assert_eq!(registry.shards_of(USER), [ShardId(1)]);
    }

    #[test]
    fn a_session_that_ends_while_its_connection_waits_keeps_it_out() {
        let mut registry = ConnectionRegistry::default();
        registry.open(CONNECTION, USER, SESSION, Instant::now());
        registry.revoke(USER, Some(SessionId(Uuid::from_u128(99))));
        assert!(!registry.is_revoked(CONNECTION), "another session");
        registry.revoke(USER, Some(SESSION));
        assert!(registry.is_revoked(CONNECTION));
    }
}
