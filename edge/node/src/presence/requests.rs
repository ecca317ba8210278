//! What connections request of presence and what waits of it: one status and one set of users a connection, however often
//! it asks. Machines without I/O.
//!
//! Both are taken in turns: a connection that has had one goes behind all others that wait, so that what one user asks
//! delays nobody by more than their own turn.

use std::collections::VecDeque;

use hashbrown::{HashMap, HashSet};
use ringside_edge_protocol::ConnectionRef;
use ringside_types::hash::RandomState;
use ringside_types::{SessionId, UserId};
use ringside_wire::signals::PresenceStatus;

use crate::config::{LOOK_USERS_MAX, LOOK_USERS_OF_CONNECTION_MAX, STATUSES_UNDER_WAY_MAX};

/// A status that is to be set.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct StatusRequest {
    pub(crate) user_id: UserId,
    pub(crate) session_id: SessionId,
    /// The frame's `id`, for a refusal.
    pub(crate) frame_id: Option<Box<str>>,
    pub(crate) status: PresenceStatus,
    /// `None`: as before.
    pub(crate) status_message: Option<String>,
}

/// StatusRequests on their way. A newer one takes the place of the one that waits.
#[derive(Debug, Default)]
pub(crate) struct StatusRequests {
    waiting: HashMap<ConnectionRef, StatusRequest, RandomState>,
    /// Connections of which one waits and none is under way, in turn. Some may be gone.
    turns: VecDeque<ConnectionRef>,
    under_way: HashSet<ConnectionRef, RandomState>,
}

impl StatusRequests {
    /// How many connections wait for their turn.
    pub(crate) fn len(&self) -> usize {
        self.waiting.len()
    }

    /// A connection asks for this status. What the one that it replaces says of the user, it says as well.
    pub(crate) fn offer(&mut self, connection: ConnectionRef, mut request: StatusRequest) {
        let before = self.waiting.remove(&connection);
        if before.is_none() && !self.under_way.contains(&connection) {
            self.turns.push_back(connection);
        }
        request.status_message = request.status_message.or_else(|| before?.status_message);
        self.waiting.insert(connection, request);
    }

    /// The next one to be set, while not too many are; [`done`](Self::done) says when it is.
    pub(crate) fn poll(&mut self) -> Option<(ConnectionRef, StatusRequest)> {
        if self.under_way.len() >= STATUSES_UNDER_WAY_MAX {
            return None;
        }
        loop {
            let connection = self.turns.pop_front()?;
            if let Some(request) = self.waiting.remove(&connection) {
                self.under_way.insert(connection);
                return Some((connection, request));
            }
        }
    }

    /// A connection's status is set, or could not be.
    pub(crate) fn done(&mut self, connection: ConnectionRef) {
        if self.under_way.remove(&connection) && self.waiting.contains_key(&connection) {
            self.turns.push_back(connection);
        }
    }

    /// A connection is gone, and what it asked for with it.
    pub(crate) fn close(&mut self, connection: ConnectionRef) {
        if self.waiting.remove(&connection).is_some() && !self.under_way.contains(&connection) {
            self.turns.retain(|one| *one != connection);
        }
    }
}

/// Whom connections begin to watch, and are to be told of. Nobody waits twice for the same user.
#[derive(Debug, Default)]
pub(crate) struct NewWatches {
    users: HashMap<ConnectionRef, (UserId, HashSet<UserId, RandomState>), RandomState>,
    turns: VecDeque<ConnectionRef>,
}

impl NewWatches {
    /// How many connections wait for a look.
    pub(crate) fn len(&self) -> usize {
        self.users.len()
    }

    /// A connection of `viewer` is to be told of these.
    pub(crate) fn offer(&mut self, connection: ConnectionRef, viewer: UserId, users: Vec<UserId>) {
        if users.is_empty() {
            return;
        }
        let (_, waiting) = self.users.entry(connection).or_insert_with(|| {
            self.turns.push_back(connection);
            (viewer, HashSet::default())
        });
        waiting.extend(users);
    }

    /// As many as one look takes, some of each connection in turn.
    pub(crate) fn poll(&mut self) -> Vec<(ConnectionRef, UserId, Vec<UserId>)> {
        let mut taken = Vec::new();
        let mut room = LOOK_USERS_MAX;
        while room > 0
            && let Some(connection) = self.turns.pop_front()
        {
            let Some((viewer, waiting)) = self.users.get_mut(&connection) else { continue };
            let count = waiting.len().min(LOOK_USERS_OF_CONNECTION_MAX).min(room);
            let users: Vec<UserId> = waiting.iter().copied().take(count).collect();
            for user in &users {
                waiting.remove(user);
            }
            room -= count;
            taken.push((connection, *viewer, users));
            if waiting.is_empty() {
                self.users.remove(&connection);
            } else {
                self.turns.push_back(connection);
            }
        }
        taken
    }

    /// A connection is gone.
    pub(crate) fn close(&mut self, connection: ConnectionRef) {
        if self.users.remove(&connection).is_some() {
            self.turns.retain(|one| *one != connection);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use ringside_edge_protocol::ShardId;
    use uuid::Uuid;

    fn user(number: usize) -> UserId {
        UserId(Uuid::from_u128(number as u128))
    }

    fn connection(token: u64) -> ConnectionRef {
        ConnectionRef { shard: ShardId(0), token }
    }

    fn request(status: PresenceStatus, message: Option<&str>) -> StatusRequest {
        StatusRequest {
            user_id: user(1),
            session_id: SessionId(Uuid::from_u128(7)),
            frame_id: None,
            status,
            status_message: message.map(Into::into),
        }
    }

    #[test]
    fn of_a_flood_of_statuses_the_last_one_waits() {
        let mut statuses = StatusRequests::default();
        for number in 0..10_000 {
            statuses.offer(connection(1), request(PresenceStatus::Online, Some(&number.to_string())));
        }
        statuses.offer(connection(1), request(PresenceStatus::Away, None));
        let (_, first) = statuses.poll().expect("one");
        assert_eq!(first, request(PresenceStatus::Away, Some("9999")), "the newest, with the newest words");
        assert_eq!((statuses.poll(), statuses.turns.len()), (None, 0));
        statuses.offer(connection(1), request(PresenceStatus::Dnd, None));
        assert_eq!(statuses.poll(), None, "one of a connection at a time");
        statuses.done(connection(1));
        assert_eq!(statuses.poll().expect("the next").1.status, PresenceStatus::Dnd);
        statuses.done(connection(1));
        assert!(statuses.waiting.is_empty() && statuses.under_way.is_empty() && statuses.turns.is_empty());
    }

    #[test]
    fn statuses_are_taken_in_turns_and_so_many_at_once() {
        let mut statuses = StatusRequests::default();
        for token in 0..=STATUSES_UNDER_WAY_MAX as u64 {
            statuses.offer(connection(token), request(PresenceStatus::Online, None));
        }
        let begun = std::iter::from_fn(|| statuses.poll()).count();
        assert_eq!(begun, STATUSES_UNDER_WAY_MAX);
        statuses.offer(connection(0), request(PresenceStatus::Away, None));
        statuses.done(connection(0));
        let (next, _) = statuses.poll().expect("room");
        assert_eq!(next, connection(STATUSES_UNDER_WAY_MAX as u64), "whoever has had none comes first");
        statuses.close(connection(0));
        statuses.done(next);
        assert_eq!(statuses.poll(), None, "what a connection that is gone asked for is not done");
    }

    #[test]
    fn whoever_is_gone_takes_no_other_s_turn() {
        let mut statuses = StatusRequests::default();
        for token in 1..=3 {
            statuses.offer(connection(token), request(PresenceStatus::Online, None));
        }
        statuses.close(connection(2));
        assert_eq!(statuses.turns.len(), 2, "and leaves none");
        let next: Vec<_> = std::iter::from_fn(|| statuses.poll()).map(|(one, _)| one).collect();
        assert_eq!(next, [connection(1), connection(3)]);
    }

    #[test]
    fn the_same_users_again_and_again_wait_once() {
        let mut new_watches = NewWatches::default();
        let users: Vec<UserId> = (0..500).map(user).collect();
        for _ in 0..1_000 {
            new_watches.offer(connection(1), user(9), users.clone());
        }
        new_watches.offer(connection(2), user(8), vec![user(1)]);
        let looked = new_watches.poll();
        let of_first: usize =
            looked.iter().filter(|(one, _, _)| *one == connection(1)).map(|(_, _, users)| users.len()).sum();
        assert_eq!(of_first, 500);
        assert!(looked.iter().any(|(one, viewer, _)| *one == connection(2) && *viewer == user(8)));
        assert_eq!((new_watches.poll(), new_watches.len(), new_watches.turns.len()), (Vec::new(), 0, 0));
    }

    #[test]
    fn a_look_takes_so_many_users_and_some_of_everybody() {
        let mut new_watches = NewWatches::default();
        new_watches.offer(connection(1), user(9), (0..3 * LOOK_USERS_MAX).map(user).collect());
        new_watches.offer(connection(2), user(8), vec![user(1)]);
        let looked = new_watches.poll();
        assert_eq!(looked.iter().map(|(_, _, users)| users.len()).sum::<usize>(), LOOK_USERS_MAX);
        assert_eq!(looked[1].0, connection(2));
        new_watches.offer(connection(2), user(8), vec![user(2)]);
        new_watches.close(connection(1));
        assert_eq!(new_watches.poll(), [(connection(2), user(8), vec![user(2)])]);
        assert_eq!((new_watches.poll(), new_watches.turns.len()), (Vec::new(), 0));
    }
}
