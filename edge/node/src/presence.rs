//! Who is there: what this edge's connections say, and what those who watch are told.
//!
//! A change is told to all edges as a name alone, once it is in force; each edge then looks at how those of its
//! connections that watch the user see them *now*. One look runs at a time, so an older view never follows a newer one.

pub(crate) mod attention;
mod watches;
mod wishes;

use std::collections::{BTreeMap, BTreeSet, HashSet};
use std::time::Duration;

use bytes::Bytes;
use foldhash::fast::RandomState;
use hashbrown::HashMap;
use hashbrown::hash_map::Entry;
use ringside_application::presence_view::{self, PresenceView};
use ringside_clock::now;
use ringside_edge_protocol::{ConnectionRef, PresenceRequest, PresenceSeen, PresenceWish, ShardId, ToShard};
use ringside_ports::log::{Append, Record};
use ringside_ports::people::profiles::{ProfileChange, Profiles};
use ringside_ports::people::relations::Relations;
use ringside_ports::presence::{Connection, Status};
use ringside_ports::{Accounts, Channels, EngineError, Log, MessageStore, Presence};
use ringside_types::{Epoch, ErrorCode, PartitionId, Slot, Topic, UnixMillis, UserId};
use ringside_wire::records::PresenceChanged;
use ringside_wire::signals::PresenceStatus;
use ringside_wire::user_id;

use crate::config::{LOOKS_BATCH_MAX, PRESENCE_CHANGES_MAX};
use crate::counters::add;
use crate::runner::{Engines, Node};
use crate::work::Done;
use watches::Watches;
use wishes::{Beginnings, StatusWish, Statuses};

/// The pause after a failure.
const RETRY_PAUSE: Duration = Duration::from_millis(200);

const TOO_MANY: (ErrorCode, &str) =
    (ErrorCode::RateLimited, "This connection watches as many users as it may; unsubscribe from some.");
const UNAVAILABLE: (ErrorCode, &str) =
    (ErrorCode::Unavailable, "The server can't take this now; send it again.");

/// What a node needs of the Directory.
pub trait EdgeDirectory: Accounts + Channels + Profiles + Relations {}

impl<D: Accounts + Channels + Profiles + Relations> EdgeDirectory for D {}

/// What an edge knows of presence.
#[derive(Debug, Default)]
pub(crate) struct Whereabouts {
    watches: Watches,
    /// Whom connections begin to watch.
    begun: Beginnings,
    /// What connections say of being there, not set yet.
    statuses: Statuses,
    /// Watched users who may be seen otherwise now.
    changed: HashSet<UserId>,
    is_looking: bool,
    /// Users of whom all edges are to be told.
    untold: HashSet<UserId>,
    is_telling: bool,
    /// Users who went, and when.
    left: BTreeMap<UserId, UnixMillis>,
    noting: HashSet<UserId>,
    /// Users whose connections end, or say something else, at this moment: how many of them.
    moving: HashMap<UserId, u32, RandomState>,
    /// Users of whom something began, or was done, while a look was under way: it may have seen a half of it.
    moved_meanwhile: HashSet<UserId>,
    /// When what users say of themselves is over.
    expiries: BTreeSet<(UnixMillis, UserId)>,
}

impl Whereabouts {
    /// What waits: statuses to be set, connections whose subscriptions want a look.
    pub(crate) fn waiting(&self) -> [usize; 2] {
        [self.statuses.len(), self.begun.len()]
    }
}

/// Users of whom something changed, and who went with it.
#[derive(Debug, Default)]
pub(crate) struct Moved {
    /// Of whom.
    pub(crate) users: Vec<UserId>,
    /// Who went, and when.
    pub(crate) left: Option<(UserId, UnixMillis)>,
}

impl Whereabouts {
    fn begins_to_move(&mut self, user: UserId) {
        self.moves_while_looking(user);
        *self.moving.entry(user).or_default() += 1;
    }

    fn moves_while_looking(&mut self, user: UserId) {
        if self.is_looking {
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
        self.moving.contains_key(&user)
            || self.moved_meanwhile.contains(&user)
            || self.left.contains_key(&user)
            || self.noting.contains(&user)
    }

    /// When the users who went did so is written; all edges are to be told of them.
    fn noted(&mut self) {
        for user in std::mem::take(&mut self.noting) {
            self.moves_while_looking(user);
            self.untold.insert(user);
        }
    }
}

impl<L, S, D, P> Node<L, S, D, P>
where
    L: Log,
    S: MessageStore,
    D: EdgeDirectory,
    P: Presence,
{
    /// A wish about presence, from a shard.
    pub(crate) fn presence(&mut self, request: PresenceRequest) {
        let PresenceRequest { connection, frame_id, user_id, wish } = request;
        let Some(session_id) = self.roster.session_of(connection) else { return };
        match wish {
            PresenceWish::Set { status, status_message } => {
                if status == PresenceStatus::Away {
                    self.may_be_away(user_id);
                }
                self.roster.say_offline(connection, status == PresenceStatus::Offline);
                if self.roster.seems_offline(user_id) {
                    self.typist_gone(user_id, connection);
                }
                let wish = StatusWish { user_id, session_id, frame_id, status, status_message };
                self.whereabouts.statuses.offer(connection, wish);
            }
            PresenceWish::Watch(users) => {
                if self.whereabouts.begun.len() >= PRESENCE_CHANGES_MAX {
                    add(&self.counters.subscriptions_refused, 1);
                    self.refuse_presence(connection, frame_id, UNAVAILABLE);
                } else if self.whereabouts.watches.add(connection, user_id, &users) {
                    self.whereabouts.begun.offer(connection, user_id, users);
                } else {
                    self.refuse_presence(connection, frame_id, TOO_MANY);
                }
            }
            PresenceWish::Unwatch(users) => self.whereabouts.watches.remove(connection, &users),
        }
    }

    /// A connection is gone, and does not watch any more.
    pub(crate) fn watcher_gone(&mut self, connection: ConnectionRef) {
        self.whereabouts.watches.close(connection);
        self.whereabouts.begun.close(connection);
        self.whereabouts.statuses.close(connection);
    }

    /// Presence has counted a change: all edges are told, and who went is noted.
    pub(crate) fn moved(&mut self, moved: Moved) {
        // Who went is noted first, so that whoever looks finds when.
        match moved.left {
            Some((user, at)) => drop(self.whereabouts.left.insert(user, at)),
            None => self.whereabouts.untold.extend(moved.users),
        }
    }

    pub(crate) fn noted(&mut self) {
        self.whereabouts.noted();
    }

    /// A connection that Presence has counted is gone.
    pub(crate) fn disconnect(&mut self, connection: Connection) {
        self.whereabouts.begins_to_move(connection.user_id);
        self.work.push(Box::pin(went(self.engines.clone(), connection)));
    }

    pub(crate) fn has_gone(&mut self, user: UserId, moved: Moved) {
        self.whereabouts.has_moved(user);
        self.moved(moved);
    }

    pub(crate) fn presence_told(&mut self) {
        self.whereabouts.is_telling = false;
    }

    /// What those who watch see now, as far as it is new to them.
    pub(crate) fn looked(&mut self, seen: Vec<(ConnectionRef, PresenceView)>) {
        self.whereabouts.is_looking = false;
        let mut per_shard: BTreeMap<u16, Vec<PresenceSeen>> = BTreeMap::new();
        for (connection, view) in seen {
            let whereabouts = &mut self.whereabouts;
            if whereabouts.is_moving(view.user_id) || !whereabouts.watches.is_news(connection, &view) {
                continue;
            }
            if let Some(until) = view.says_until
                && whereabouts.expiries.len() < PRESENCE_CHANGES_MAX
            {
                whereabouts.expiries.insert((until, view.user_id));
            }
            let PresenceView { user_id, status, status_message, last_seen_at, .. } = view;
            let (token, status) = (connection.token, status.name());
            let seen = PresenceSeen { token, user_id, status, status_message, last_seen_at };
            per_shard.entry(connection.shard.0).or_default().push(seen);
        }
        self.whereabouts.moved_meanwhile.clear();
        for (shard, seen) in per_shard {
            self.outbox.send(ShardId(shard), ToShard::Presence(seen));
        }
    }

    pub(crate) fn presence_set(
        &mut self,
        connection: ConnectionRef,
        user: UserId,
        frame_id: Option<Box<str>>,
        done: Result<Moved, EngineError>,
    ) {
        self.whereabouts.has_moved(user);
        self.whereabouts.statuses.done(connection);
        match done {
            Ok(moved) => self.moved(moved),
            Err(error) => {
                tracing::warn!(%error, "a status could not be set");
                self.moved(came(user));
                self.refuse_presence(connection, frame_id, UNAVAILABLE);
            }
        }
    }

    fn refuse_presence(
        &mut self,
        connection: ConnectionRef,
        frame_id: Option<Box<str>>,
        (code, message): (ErrorCode, &'static str),
    ) {
        let refused = ToShard::SignalRefused { token: connection.token, frame_id, code, message };
        self.outbox.send(connection.shard, refused);
    }

    /// Records of `presence`, in order.
    pub(crate) fn presence_changed(&mut self, records: Vec<Record>) {
        for record in records {
            let offset = record.offset;
            let Ok(changed) = ringside_wire::decode::<PresenceChanged>(record.payload) else {
                tracing::error!(%offset, "a record of presence can't be read; it is passed over");
                continue;
            };
            let users = changed.user_ids.iter().filter_map(|user| user_id(user).ok());
            let whereabouts = &mut self.whereabouts;
            whereabouts.changed.extend(users.clone().filter(|user| whereabouts.watches.is_watched(*user)));
            self.attention_changed(users);
        }
    }

    /// A slot has a new tenure: whoever was connected in an earlier one is not there any more.
    pub(crate) fn tenure_began(&mut self, slot: Slot, epoch: Epoch) {
        self.work.push(Box::pin(end_tenures(self.engines.clone(), slot, epoch)));
    }

    /// What somebody says of themselves may be over.
    pub(crate) fn presence_time(&mut self, now: UnixMillis) {
        while let Some((until, user)) = self.whereabouts.expiries.first().copied()
            && until <= now
        {
            self.whereabouts.expiries.pop_first();
            if self.whereabouts.watches.is_watched(user) {
                self.whereabouts.changed.insert(user);
            }
        }
    }

    fn set_statuses(&mut self) {
        while let Some((connection, wish)) = self.whereabouts.statuses.poll() {
            let StatusWish { user_id, session_id, frame_id, status, status_message } = wish;
            let said = self.presence_of(connection, user_id, session_id);
            let engines = self.engines.clone();
            self.whereabouts.begins_to_move(user_id);
            self.work.push(Box::pin(async move {
                let done = set(&engines, said, status_of(status), status_message).await;
                Done::PresenceSet(connection, user_id, frame_id, done)
            }));
        }
    }

    /// At the end of a turn: some statuses, and one look, one append and one note at a time.
    pub(crate) fn look_around(&mut self) {
        self.set_statuses();
        self.look_for_absent();
        let whereabouts = &mut self.whereabouts;
        let is_due = whereabouts.begun.len() > 0 || !whereabouts.changed.is_empty();
        if is_due && !whereabouts.is_looking {
            whereabouts.is_looking = true;
            let begun = whereabouts.begun.poll();
            let users: Vec<UserId> = whereabouts.changed.iter().copied().take(LOOKS_BATCH_MAX).collect();
            let mut changed = Vec::with_capacity(users.len());
            for user in users {
                whereabouts.changed.remove(&user);
                changed.push((user, whereabouts.watches.watchers(user)));
            }
            self.work.push(Box::pin(look(self.engines.clone(), begun, changed)));
        }
        if whereabouts.noting.is_empty() && !whereabouts.left.is_empty() {
            let left: Vec<_> = std::mem::take(&mut whereabouts.left).into_iter().collect();
            whereabouts.noting = left.iter().map(|(user, _)| *user).collect();
            self.work.push(Box::pin(note(self.engines.clone(), left)));
        }
        if !whereabouts.is_telling && !whereabouts.untold.is_empty() {
            whereabouts.is_telling = true;
            let user_ids = whereabouts.untold.drain().map(|user| user.as_bytes().to_vec().into()).collect();
            let payload = ringside_wire::encode(&PresenceChanged { user_ids });
            self.work.push(Box::pin(tell(self.engines.clone(), payload)));
        }
    }
}

/// A user has come, or may be seen otherwise for another reason.
pub(crate) fn came(user: UserId) -> Moved {
    Moved { users: vec![user], left: None }
}

/// A connection is gone. Who was not to be seen before, has not gone now.
async fn went<L, S, D, P: Presence>(engines: Engines<L, S, D, P>, connection: Connection) -> Done {
    let user = connection.user_id;
    let ended = async {
        let before = status(&engines, user).await?;
        engines.presence.disconnect(&[connection]).await?;
        Ok::<_, EngineError>(moved(user, before, status(&engines, user).await?))
    };
    let moved = ended.await.unwrap_or_else(|error| {
        tracing::warn!(%error, "a closed connection stays counted until this edge's tenure ends");
        came(user)
    });
    Done::Went(user, moved)
}

async fn set<L, S, D: EdgeDirectory, P: Presence>(
    engines: &Engines<L, S, D, P>,
    connection: Connection,
    said: Status,
    status_message: Option<String>,
) -> Result<Moved, EngineError> {
    let user = connection.user_id;
    if status_message.is_some() {
        let change = ProfileChange { status_message, ..ProfileChange::default() };
        engines.directory.change_profile(user, change, now()).await?;
    }
    let before = status(engines, user).await?;
    engines.presence.set_status(&[connection], said).await?;
    Ok(moved(user, before, status(engines, user).await?))
}

async fn status<L, S, D, P: Presence>(
    engines: &Engines<L, S, D, P>,
    user: UserId,
) -> Result<Status, EngineError> {
    Ok(engines.presence.statuses(&[user]).await?.first().copied().unwrap_or(Status::Offline))
}

fn moved(user: UserId, before: Status, after: Status) -> Moved {
    let is_gone = before != Status::Offline && after == Status::Offline;
    Moved { users: vec![user], left: is_gone.then(|| (user, now())) }
}

async fn end_tenures<L, S, D, P: Presence>(engines: Engines<L, S, D, P>, slot: Slot, epoch: Epoch) -> Done {
    match engines.presence.end_tenures(slot, epoch).await {
        Ok(users) => Done::Moved(Moved { users, left: None }),
        Err(error) => {
            tracing::warn!(%error, %slot, "connections of an edge that is gone stay counted");
            Done::Nothing
        }
    }
}

/// Looks until the engines answer: nobody asks again.
async fn look<L, S, D: EdgeDirectory, P: Presence>(
    engines: Engines<L, S, D, P>,
    begun: Vec<(ConnectionRef, UserId, Vec<UserId>)>,
    changed: Vec<(UserId, Vec<(ConnectionRef, UserId)>)>,
) -> Done {
    loop {
        match look_once(&engines, &begun, &changed).await {
            Ok(seen) => return Done::Looked(seen),
            Err(error) => {
                tracing::warn!(%error, "presence could not be read; trying again");
                tokio::time::sleep(RETRY_PAUSE).await;
            }
        }
    }
}

async fn look_once<L, S, D: EdgeDirectory, P: Presence>(
    engines: &Engines<L, S, D, P>,
    begun: &[(ConnectionRef, UserId, Vec<UserId>)],
    changed: &[(UserId, Vec<(ConnectionRef, UserId)>)],
) -> Result<Vec<(ConnectionRef, PresenceView)>, EngineError> {
    let Engines { presence, directory, .. } = engines;
    let mut seen = Vec::new();
    for (connection, viewer, users) in begun {
        let views = presence_view::seen_by(presence, directory, *viewer, users, now()).await?;
        seen.extend(views.into_iter().map(|view| (*connection, view)));
    }
    for (user, watchers) in changed {
        let viewers: Vec<UserId> = watchers.iter().map(|(_, viewer)| *viewer).collect();
        let views = presence_view::seen_by_each(presence, directory, *user, &viewers, now()).await?;
        seen.extend(watchers.iter().map(|(connection, _)| *connection).zip(views));
    }
    Ok(seen)
}

/// When they went survives a restart; where it can't be written, they are not told of later.
async fn note<L, S, D: EdgeDirectory, P>(
    engines: Engines<L, S, D, P>,
    left: Vec<(UserId, UnixMillis)>,
) -> Done {
    if let Err(error) = engines.directory.saw(&left).await {
        tracing::warn!(%error, "when users were last seen could not be written");
    }
    Done::Noted
}

async fn tell<L: Log, S, D, P>(engines: Engines<L, S, D, P>, payload: Bytes) -> Done {
    let append = Append { topic: Topic::Presence, partition: PartitionId(0), payload };
    while let Err(error) = engines.log.append(vec![append.clone()]).await {
        tracing::warn!(%error, "the log did not confirm changes of presence; trying again");
        tokio::time::sleep(RETRY_PAUSE).await;
    }
    Done::PresenceTold
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

    /// A look that began before somebody went has read when they were last there, and not that they are there no longer,
    /// or the other way round.
    #[test]
    fn what_happens_during_a_look_is_not_told_by_it() {
        let mut whereabouts = Whereabouts { is_looking: true, ..Whereabouts::default() };
        whereabouts.begins_to_move(USER);
        whereabouts.has_moved(USER);
        assert!(whereabouts.is_moving(USER), "begun and done within the look");
        let mut whereabouts = Whereabouts::default();
        whereabouts.noting.insert(USER);
        whereabouts.is_looking = true;
        whereabouts.noted();
        assert!(whereabouts.is_moving(USER) && whereabouts.untold.contains(&USER), "another look follows");
        whereabouts.moved_meanwhile.clear();
        assert!(!whereabouts.is_moving(USER), "the look is over");
    }
}
