//! Who is there: what this edge's connections say, and what those who watch are told.
//!
//! A change is told to all edges as a name alone, once it is in force; each edge then looks at how those of its
//! connections that watch the user see them *now*. One look runs at a time, so an older view never follows a newer one.

mod away;
mod requests;
mod watches;

use std::collections::{BTreeMap, BTreeSet, HashSet, VecDeque};
use std::time::Instant;

use hashbrown::HashMap;
use hashbrown::hash_map::Entry;
use ringside_application::backend::{BackendError, ConnectionEvent, LookAnswer, LookRequest};
use ringside_application::presence_view::PresenceView;
use ringside_edge_protocol::{ConnectionRef, PresenceSeen, ShardId, ToShard};
use ringside_ports::EngineError;
use ringside_ports::log::Append;
use ringside_ports::presence::{Connection, Status};
use ringside_types::hash::RandomState;
use ringside_types::{Epoch, ErrorCode, PartitionId, Slot, Topic, UnixMillis, UserId};
use ringside_wire::records::PresenceChanged;
use ringside_wire::signals::PresenceStatus;

use crate::config::{LOOKS_BATCH_MAX, PRESENCE_BATCH_MAX, PRESENCE_CHANGES_MAX};
use crate::counters::{Counters, add};
use crate::deliveries::Deliveries;
use crate::effect::{Batch, Effect};
use crate::registry::ConnectionRegistry;
use crate::retry::Retried;
use away::AwayUsers;
pub(crate) use requests::StatusRequest;
use requests::{NewWatches, StatusRequests};
use watches::Watches;

const TOO_MANY: (ErrorCode, &str) =
    (ErrorCode::RateLimited, "This connection watches as many users as it may; unsubscribe from some.");
const UNAVAILABLE: (ErrorCode, &str) =
    (ErrorCode::Unavailable, "The server can't take this now; send it again.");

/// A change that the backend is told of, and who waits for it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Changing {
    /// A connection of this user is gone.
    Disconnected(UserId),
    /// A connection says something else.
    Status {
        connection: ConnectionRef,
        user_id: UserId,
        /// The frame's `id`, for a refusal.
        frame_id: Option<Box<str>>,
    },
    /// Connections of earlier leases of a slot are gone.
    LeaseEnded,
}

/// A look, and for whom it is.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Looking {
    /// Connections that begin to watch, their users, and whom.
    pub begun: Vec<(ConnectionRef, UserId, Vec<UserId>)>,
    /// Users who may be seen otherwise, and the connections that watch them.
    pub changed: Vec<(UserId, Vec<(ConnectionRef, UserId)>)>,
    /// Users who may be away.
    pub away: Vec<UserId>,
}

impl Looking {
    fn request(&self) -> LookRequest {
        LookRequest {
            viewers: self.begun.iter().map(|(_, viewer, users)| (*viewer, users.clone())).collect(),
            seen: self
                .changed
                .iter()
                .map(|(user, watchers)| (*user, watchers.iter().map(|(_, viewer)| *viewer).collect()))
                .collect(),
            away: self.away.clone(),
        }
    }
}

/// What an edge knows of presence.
#[derive(Debug, Default)]
pub(crate) struct PresenceTracker {
    watches: Watches,
    /// Whom connections begin to watch.
    begun: NewWatches,
    /// What connections say of being there, not set yet.
    statuses: StatusRequests,
    away: AwayUsers,
    /// Connections and leases that ended, of which the backend is to be told.
    ended: VecDeque<(Changing, ConnectionEvent)>,
    is_ending: bool,
    /// Watched users who may be seen otherwise now.
    changed: HashSet<UserId>,
    look: Retried<Looking>,
    /// Users of whom all edges are to be told.
    untold: HashSet<UserId>,
    telling: Retried<Vec<Append>>,
    /// Users whose connections end, or say something else, at this moment: how many of them.
    moving: HashMap<UserId, u32, RandomState>,
    /// Users of whom something began, or was done, while a look was under way: it may have seen a half of it.
    moved_meanwhile: HashSet<UserId>,
    /// When what users say of themselves is over.
    expiries: BTreeSet<(UnixMillis, UserId)>,
}

impl PresenceTracker {
    /// What waits: statuses to be set, connections whose subscriptions want a look.
    pub(crate) fn waiting(&self) -> [usize; 2] {
        [self.statuses.len(), self.begun.len()]
    }

    fn begins_to_move(&mut self, user: UserId) {
        self.moves_while_looking(user);
        *self.moving.entry(user).or_default() += 1;
    }

    fn moves_while_looking(&mut self, user: UserId) {
        if !self.look.is_idle() {
            self.moved_meanwhile.insert(user);
        }
    }

    fn has_moved(&mut self, user: UserId) {
        self.moves_while_looking(user);
        if let Entry::Occupied(mut moving) = self.moving.entry(user) {
            *moving.get_mut() -= 1;
            if *moving.get() == 0 {
                moving.remove();
            }
        }
    }

    /// Whether a look may have seen a half of what happens to a user. Another look follows the whole.
    fn is_moving(&self, user: UserId) -> bool {
        self.moving.contains_key(&user) || self.moved_meanwhile.contains(&user)
    }

    /// A connection says something else.
    pub(crate) fn set_status(&mut self, connection: ConnectionRef, request: StatusRequest) {
        if request.status == PresenceStatus::Away {
            self.away.may_be_away(request.user_id);
        }
        self.statuses.offer(connection, request);
    }

    /// A connection of `viewer` watches these users from now on.
    pub(crate) fn watch(
        &mut self,
        connection: ConnectionRef,
        viewer: UserId,
        frame_id: Option<Box<str>>,
        users: Vec<UserId>,
        deliveries: &mut Deliveries,
        counters: &Counters,
    ) {
        if self.begun.len() >= PRESENCE_CHANGES_MAX {
            add(&counters.subscriptions_refused, 1);
            refuse(deliveries, connection, frame_id, UNAVAILABLE);
        } else if self.watches.add(connection, viewer, &users) {
            self.begun.offer(connection, viewer, users);
        } else {
            refuse(deliveries, connection, frame_id, TOO_MANY);
        }
    }

    /// A connection watches these users no more.
    pub(crate) fn unwatch(&mut self, connection: ConnectionRef, users: &[UserId]) {
        self.watches.remove(connection, users);
    }

    /// A connection is gone, and does not watch any more.
    pub(crate) fn close(&mut self, connection: ConnectionRef) {
        self.watches.close(connection);
        self.begun.close(connection);
        self.statuses.close(connection);
    }

    /// A connection that Presence has counted is gone.
    pub(crate) fn disconnected(&mut self, connection: Connection) {
        self.begins_to_move(connection.user_id);
        let changing = Changing::Disconnected(connection.user_id);
        self.ended.push_back((changing, ConnectionEvent::Disconnected(connection)));
    }

    /// A slot has a new lease: whoever was connected in an earlier one is not there any more.
    pub(crate) fn lease_began(&mut self, slot: Slot, epoch: Epoch) {
        let change = ConnectionEvent::LeaseEnded { slot, before: epoch };
        self.ended.push_back((Changing::LeaseEnded, change));
    }

    /// These users may be seen otherwise now: all edges are to be told.
    pub(crate) fn tell_of(&mut self, users: impl IntoIterator<Item = UserId>) {
        self.untold.extend(users);
    }

    /// A record of `presence`: something of these users is not as it was.
    pub(crate) fn handle_changed(
        &mut self,
        users: impl Iterator<Item = UserId> + Clone,
        registry: &ConnectionRegistry,
    ) {
        let watches = &self.watches;
        self.changed.extend(users.clone().filter(|user| watches.is_watched(*user)));
        self.away.handle_changed(users, registry);
    }

    /// What somebody says of themselves may be over.
    pub(crate) fn handle_timeout(&mut self, now: UnixMillis) {
        while let Some((until, user)) = self.expiries.first().copied()
            && until <= now
        {
            self.expiries.pop_first();
            if self.watches.is_watched(user) {
                self.changed.insert(user);
            }
        }
    }

    /// What the backend is to be told next: a batch of ends at a time, and some statuses beside it. `counted` says how
    /// Presence knows a connection.
    pub(crate) fn poll_change(
        &mut self,
        counted: impl Fn(ConnectionRef, &StatusRequest) -> Connection,
    ) -> Option<Effect> {
        if !self.is_ending && !self.ended.is_empty() {
            self.is_ending = true;
            let count = self.ended.len().min(PRESENCE_BATCH_MAX);
            let (changing, changes) = self.ended.drain(..count).unzip();
            return Some(Effect::ChangePresence(changing, changes));
        }
        let (connection, request) = self.statuses.poll()?;
        let counted = counted(connection, &request);
        let StatusRequest { user_id, frame_id, status, status_message, .. } = request;
        self.begins_to_move(user_id);
        let changing = Changing::Status { connection, user_id, frame_id };
        let status = status_of(status);
        let change = ConnectionEvent::StatusSet { connection: counted, status, status_message };
        Some(Effect::ChangePresence(vec![changing], vec![change]))
    }

    /// The backend has noted changes, or could not.
    pub(crate) fn handle_noted(
        &mut self,
        changing: Vec<Changing>,
        noted: Vec<Result<Vec<UserId>, BackendError>>,
        deliveries: &mut Deliveries,
    ) {
        let mut noted = noted.into_iter();
        for change in changing {
            let noted = noted.next().unwrap_or_else(|| Err(BackendError("no answer".into())));
            if !matches!(change, Changing::Status { .. }) {
                self.is_ending = false;
            }
            match change {
                Changing::Disconnected(user) => {
                    self.has_moved(user);
                    if let Err(error) = noted {
                        tracing::warn!(%error, "a closed connection stays counted until this edge's lease ends");
                    }
                    self.untold.insert(user);
                }
                Changing::Status { connection, user_id, frame_id } => {
                    self.has_moved(user_id);
                    self.statuses.done(connection);
                    if let Err(error) = noted {
                        tracing::warn!(%error, "a status could not be set");
                        refuse(deliveries, connection, frame_id, UNAVAILABLE);
                    }
                    self.untold.insert(user_id);
                }
                Changing::LeaseEnded => match noted {
                    Ok(users) => self.untold.extend(users),
                    Err(error) => {
                        tracing::warn!(%error, "connections of an edge that is gone stay counted");
                    }
                },
            }
        }
    }

    /// The next look, or the one that failed.
    pub(crate) fn poll_look(&mut self, now: Instant) -> Option<Effect> {
        if let Some(looking) = self.look.poll(now) {
            let request = looking.request();
            return Some(Effect::Look(looking, request));
        }
        let is_due = self.begun.len() > 0 || !self.changed.is_empty() || self.away.is_due();
        if !self.look.is_idle() || !is_due {
            return None;
        }
        let users: Vec<UserId> = self.changed.iter().copied().take(LOOKS_BATCH_MAX).collect();
        let mut changed = Vec::with_capacity(users.len());
        for user in users {
            self.changed.remove(&user);
            changed.push((user, self.watches.watchers(user)));
        }
        let looking = Looking { begun: self.begun.poll(), changed, away: self.away.poll() };
        self.look.begin();
        let request = looking.request();
        Some(Effect::Look(looking, request))
    }

    /// What those who watch see now, as far as it is new to them; and who is to be notified.
    pub(crate) fn handle_looked(
        &mut self,
        now: Instant,
        looking: Looking,
        answered: Result<LookAnswer, BackendError>,
        registry: &ConnectionRegistry,
        deliveries: &mut Deliveries,
    ) {
        let answer = match answered {
            Ok(answer) => answer,
            Err(error) => {
                tracing::warn!(%error, "presence could not be read; trying again");
                return self.look.failed(looking, now);
            }
        };
        let Looking { begun, changed, away } = looking;
        let of_begun = begun
            .into_iter()
            .zip(answer.viewers)
            .flat_map(|((connection, ..), views)| views.into_iter().map(move |view| (connection, view)));
        let of_changed = changed.into_iter().zip(answer.seen).flat_map(|((_, watchers), views)| {
            watchers.into_iter().map(|(connection, _)| connection).zip(views)
        });
        let mut per_shard: BTreeMap<u16, Vec<PresenceSeen>> = BTreeMap::new();
        for (connection, view) in of_begun.chain(of_changed) {
            if let Some(seen) = self.news(connection, view) {
                per_shard.entry(connection.shard.0).or_default().push(seen);
            }
        }
        self.look.done();
        self.moved_meanwhile.clear();
        for (shard, seen) in per_shard {
            deliveries.send(ShardId(shard), ToShard::Presence(seen));
        }
        away::tell(away.into_iter().zip(answer.away), registry, deliveries);
    }

    /// What a connection is to be told; `None`: it knows.
    fn news(&mut self, connection: ConnectionRef, view: PresenceView) -> Option<PresenceSeen> {
        if self.is_moving(view.user_id) || !self.watches.is_news(connection, &view) {
            return None;
        }
        if let Some(until) = view.says_until
            && self.expiries.len() < PRESENCE_CHANGES_MAX
        {
            self.expiries.insert((until, view.user_id));
        }
        let PresenceView { user_id, status, status_message, last_seen_at, .. } = view;
        let (token, status) = (connection.token, status.name());
        Some(PresenceSeen { token, user_id, status, status_message, last_seen_at })
    }

    /// The next record of whom all edges are to be told, or the one that failed.
    pub(crate) fn poll_append(&mut self, now: Instant) -> Option<Effect> {
        let appends = match self.telling.poll(now) {
            Some(appends) => appends,
            None if !self.telling.is_idle() || self.untold.is_empty() => return None,
            None => {
                let user_ids = self.untold.drain().map(|user| user.as_bytes().to_vec().into()).collect();
                let payload = ringside_wire::encode(&PresenceChanged { user_ids });
                self.telling.begin();
                vec![Append { topic: Topic::Presence, partition: PartitionId(0), payload }]
            }
        };
        Some(Effect::Append(Batch::Presence(appends.clone()), appends))
    }

    /// All edges are told, or the log has not confirmed it.
    pub(crate) fn handle_appended(
        &mut self,
        now: Instant,
        records: Vec<Append>,
        appended: Result<(), EngineError>,
    ) {
        self.telling.handle_appended(now, records, appended, "changes of presence");
    }

    pub(crate) fn next_due(&self) -> Option<Instant> {
        self.look.next_due().into_iter().chain(self.telling.next_due()).min()
    }
}

fn refuse(
    deliveries: &mut Deliveries,
    connection: ConnectionRef,
    frame_id: Option<Box<str>>,
    (code, message): (ErrorCode, &'static str),
) {
    let refused = ToShard::SignalRefused { token: connection.token, frame_id, code, message };
    deliveries.send(connection.shard, refused);
}

fn status_of(said: PresenceStatus) -> Status {
    match said {
        PresenceStatus::Online => Status::Online,
        PresenceStatus::Away => Status::Away,
        PresenceStatus::Dnd => Status::Dnd,
        PresenceStatus::Offline => Status::Offline,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use uuid::Uuid;

    const USER: UserId = UserId(Uuid::from_u128(1));

    /// A look that began before somebody went has read that they are there, and not when they were last, or the other way
    /// round.
    #[test]
    fn what_happens_during_a_look_is_not_told_by_it() {
        let mut tracker = PresenceTracker::default();
        tracker.look.begin();
        tracker.begins_to_move(USER);
        tracker.has_moved(USER);
        assert!(tracker.is_moving(USER), "begun and done within the look");
        tracker.look.done();
        tracker.moved_meanwhile.clear();
        assert!(!tracker.is_moving(USER), "the look is over");
    }
}
