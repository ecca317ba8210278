//! Which connections watch whom: a machine without I/O.

use std::hash::BuildHasher as _;

use hashbrown::{HashMap, HashSet};
use ringside_application::presence_view::PresenceView;
use ringside_edge_protocol::ConnectionRef;
use ringside_types::UserId;
use ringside_types::hash::RandomState;
use ringside_types::limits::WATCHED_USERS_MAX;

#[derive(Debug)]
struct Watch {
    viewer: UserId,
    /// The hash of what the connection was told last; 0: nothing.
    told: u64,
}

/// All watches of an edge, by both ends.
#[derive(Debug, Default)]
pub(crate) struct Watches {
    users: HashMap<UserId, HashMap<ConnectionRef, Watch, RandomState>, RandomState>,
    connections: HashMap<ConnectionRef, HashSet<UserId, RandomState>, RandomState>,
    hasher: RandomState,
}

impl Watches {
    /// A connection of `viewer` watches these as well, and is told of them anew; false: they are too many, and none is
    /// added.
    pub(crate) fn add(&mut self, connection: ConnectionRef, viewer: UserId, users: &[UserId]) -> bool {
        let watched = self.connections.entry(connection).or_default();
        let new: HashSet<UserId, RandomState> =
            users.iter().filter(|user| !watched.contains(*user)).copied().collect();
        if watched.len() + new.len() > WATCHED_USERS_MAX {
            return false;
        }
        watched.extend(new);
        for user in users {
            self.users.entry(*user).or_default().insert(connection, Watch { viewer, told: 0 });
        }
        true
    }

    /// A connection watches these no more.
    pub(crate) fn remove(&mut self, connection: ConnectionRef, users: &[UserId]) {
        let Some(watched) = self.connections.get_mut(&connection) else { return };
        let ended: Vec<UserId> = users.iter().filter(|user| watched.remove(*user)).copied().collect();
        for user in ended {
            self.forget(user, connection);
        }
    }

    /// A connection is gone.
    pub(crate) fn close(&mut self, connection: ConnectionRef) {
        for user in self.connections.remove(&connection).unwrap_or_default() {
            self.forget(user, connection);
        }
    }

    fn forget(&mut self, user: UserId, connection: ConnectionRef) {
        if let Some(watchers) = self.users.get_mut(&user) {
            watchers.remove(&connection);
            if watchers.is_empty() {
                self.users.remove(&user);
            }
        }
    }

    /// Whether anybody here watches a user.
    pub(crate) fn is_watched(&self, user: UserId) -> bool {
        self.users.contains_key(&user)
    }

    /// The connections that watch a user, and whose they are.
    pub(crate) fn watchers(&self, user: UserId) -> Vec<(ConnectionRef, UserId)> {
        let watchers = self.users.get(&user).into_iter().flatten();
        watchers.map(|(connection, watch)| (*connection, watch.viewer)).collect()
    }

    /// Whether a connection watches the user still, and was told something else last. From here on it is told.
    pub(crate) fn is_news(&mut self, connection: ConnectionRef, view: &PresenceView) -> bool {
        let hash = self.hasher.hash_one(view).max(1);
        let watch = self.users.get_mut(&view.user_id).and_then(|watchers| watchers.get_mut(&connection));
        watch.is_some_and(|watch| std::mem::replace(&mut watch.told, hash) != hash)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use ringside_edge_protocol::ShardId;
    use ringside_ports::presence::Status;
    use uuid::Uuid;

    fn user(number: usize) -> UserId {
        UserId(Uuid::from_u128(number as u128))
    }

    fn connection(token: u64) -> ConnectionRef {
        ConnectionRef { shard: ShardId(0), token }
    }

    fn view(number: usize, status: Status) -> PresenceView {
        let status_message = String::new();
        PresenceView { user_id: user(number), status, status_message, says_until: None, last_seen_at: None }
    }

    #[test]
    fn a_watcher_is_told_what_is_new_to_them() {
        let mut watches = Watches::default();
        assert!(watches.add(connection(1), user(9), &[user(1), user(2)]));
        assert!(watches.is_news(connection(1), &view(1, Status::Online)));
        assert!(!watches.is_news(connection(1), &view(1, Status::Online)));
        assert!(watches.is_news(connection(1), &view(1, Status::Away)));
        assert!(!watches.is_news(connection(2), &view(1, Status::Away)), "does not watch");
        assert!(watches.add(connection(1), user(9), &[user(1)]));
        assert!(watches.is_news(connection(1), &view(1, Status::Away)), "asked anew");
        watches.remove(connection(1), &[user(1), user(7)]);
        assert!(!watches.is_news(connection(1), &view(1, Status::Online)));
        assert_eq!(watches.watchers(user(2)), [(connection(1), user(9))]);
        watches.close(connection(1));
        assert!(!watches.is_watched(user(2)) && watches.users.is_empty() && watches.connections.is_empty());
    }

    #[test]
    fn a_connection_watches_so_many_and_no_more() {
        let mut watches = Watches::default();
        let all: Vec<UserId> = (0..WATCHED_USERS_MAX).map(user).collect();
        assert!(watches.add(connection(1), user(9), &all) && watches.add(connection(1), user(9), &all));
        let one_more = [user(0), user(WATCHED_USERS_MAX)];
        assert!(!watches.add(connection(1), user(9), &one_more) && !watches.is_watched(one_more[1]));
        assert!(watches.add(connection(2), user(9), &one_more), "another has its own");
        watches.remove(connection(1), &all[..1]);
        assert!(watches.add(connection(1), user(9), &one_more[1..]));
    }
}
