//! What the node tells: answers, events, pages, and ends.

use std::sync::Arc;
use std::time::Duration;

use ringside_clock::boot_time;
use ringside_edge_protocol::{ChannelEvent, Subscription, ToShard};
use ringside_reactor::{ConnectionId, Io};
use ringside_session::cursor::{Cursor, Reading};
use ringside_types::{BootTime, ChannelId, CloseCode, ErrorCode, MessageId, SessionId, UserId};
use ringside_wire::client_id;
use ringside_wire::event::{Event, GoodbyeReason, Rejected};
use ringside_wire::records::{Membership, Rejection};

use crate::config::DRAINED_PER_MS;
use crate::connection::Phase;
use crate::counters::add;
use crate::frames::{self, Departing};
use crate::gateway::Gateway;
use crate::handshake::Refused;
use crate::syncing::reading_of;

impl Gateway {
    pub(crate) fn deliver(&mut self, io: &mut Io, delivery: ToShard) {
        let at = ConnectionId::from_u64;
        match delivery {
            ToShard::Admitted { token, profile, budget, channels } => {
                self.admitted(io, at(token), profile, budget, channels);
            }
            ToShard::Refused { token, reason } => self.refused(io, at(token), reason),
            ToShard::Answers(answers) => self.answers(io, answers),
            ToShard::Events { valid_until, events } => self.events(io, valid_until, &events),
            ToShard::Signals { valid_until, signals } if boot_time() < valid_until => {
                self.signals(io, &signals);
            }
            ToShard::Signals { .. } => self.fenced(io),
            ToShard::Presence(seen) => self.presences(io, &seen),
            ToShard::Probe(user_id) => self.probe(io, user_id),
            ToShard::Attention { user_id, attention } => self.index.set_attention(user_id, attention),
            ToShard::SignalRefused { token, frame_id, code, message } => {
                self.signal_refused(io, at(token), frame_id.as_deref(), code, message);
            }
            ToShard::Live { channel_id, last } => {
                if let Some(channel) = self.index.channel(channel_id) {
                    channel.last.get_or_insert(last);
                }
            }
            ToShard::Pages { token, valid_until, pages } if boot_time() < valid_until => {
                self.pages(io, at(token), &pages);
            }
            ToShard::Pages { .. } => self.fenced(io),
            ToShard::Fenced => {
                self.seat = None;
                self.fenced(io);
            }
            ToShard::PageRefused { token, channel_id, code } => {
                self.page_refused(io, at(token), channel_id, code);
            }
            ToShard::Rejected { user_id, rejection } => self.rejected(io, user_id, &rejection),
            ToShard::MemberAdded { user_id, subscription, from_id, change, membership } => {
                self.member_added(io, user_id, subscription, from_id, change, &membership);
            }
            ToShard::MemberRemoved { user_id, channel_id } => self.member_removed(io, user_id, channel_id),
            ToShard::Departed { users, channel_id, change, membership } => {
                self.departed(io, &users, channel_id, change, &membership);
            }
            ToShard::SessionEnded { user_id, session_id } => self.session_ended(io, user_id, session_id),
            ToShard::Drain { window_ms } => self.drain(io, window_ms),
            ToShard::Seated { slot, epoch } => self.seat = Some((slot, epoch)),
            ToShard::Keys(verifier) => self.verifier = verifier,
            ToShard::WallClock(_) => {}
        }
    }

    /// Events of channels: encoded once, queued to every connection of every member; once more for those from whom the
    /// message is hidden.
    fn events(&mut self, io: &mut Io, valid_until: BootTime, events: &[ChannelEvent]) {
        if boot_time() >= valid_until {
            return self.fenced(io);
        }
        let (time, now) = (self.time(io), io.now());
        for ChannelEvent { channel_id, effective } in events {
            let Self { index, encoded, scratch, counters, .. } = self;
            let id = MessageId(effective.id);
            encoded.clear();
            let mut hidden = Vec::new();
            let mut failed = None;
            let mut deliveries = 0;
            let mut deliver = |connection: ConnectionId, is_hidden: bool| {
                let (encoded, sees_above) = match is_hidden {
                    true => (&mut hidden, MessageId::MAX),
                    false => (&mut *encoded, MessageId::ZERO),
                };
                if encoded.is_empty() && failed.is_none() {
                    failed =
                        frames::write_effective(encoded, scratch, *channel_id, effective, sees_above).err();
                }
                if let Some(queue) = io.queue(connection) {
                    queue.extend_from_slice(encoded);
                    deliveries += 1;
                }
            };
            let skipped = match frames::departing(effective) {
                Departing::Nobody => Some(Vec::new()),
                Departing::These(users) => {
                    Some(users.iter().flat_map(|user| index.connections(*user)).copied().collect())
                }
                Departing::Everyone => None,
            };
            // Acknowledged before their membership ended: whoever said it is told, and who was told as a member is not twice.
            let mut own = frames::author(effective)
                .map_or_else(Vec::new, |author| index.heard_out(author, *channel_id, id, now).to_vec());
            let tells_of = frames::tells_of(effective);
            let is_news = index.fan_out(*channel_id, id, tells_of, |connection, is_hidden| {
                own.retain(|one| *one != connection);
                if skipped.as_ref().is_some_and(|skipped| !skipped.contains(&connection)) {
                    deliver(connection, is_hidden);
                }
            });
            if is_news || index.channel(*channel_id).is_none() {
                own.into_iter().for_each(|connection| deliver(connection, false));
            }
            if let Some(error) = failed {
                tracing::error!(%error, channel = %channel_id, id = effective.id, "an event can't be shown to clients");
            }
            add(&counters.events, 1);
            add(&counters.deliveries, deliveries);
            // An id begins with the time at which the log took its record.
            let age_ms = time.since(id.time());
            counters.delivery_seconds.record(age_ms.saturating_mul(1_000), deliveries);
            if is_news {
                self.notify(io, *channel_id, effective);
            }
        }
    }

    fn rejected(&mut self, io: &mut Io, user: UserId, rejection: &Rejection) {
        let Ok(client_id) = client_id(&rejection.client_id) else { return };
        let client_id = match &*rejection.frame_id {
            "" => client_id.to_string().into(),
            own => own.into(),
        };
        let message = match &*rejection.code {
            "not_a_member" => "It was not done: you were not a member of the channel any more.",
            "bad_request" => "It was not done: the message has as many different reactions as it takes.",
            "not_found" => "It was not done: the message is not there.",
            _ => "It was not done: you were not allowed to any more.",
        };
        let event = Event::Rejected(Rejected { client_id, code: &rejection.code, message });
        self.tell(io, user, &[event]);
    }

    /// Queues events to every connection of a user.
    fn tell(&mut self, io: &mut Io, user: UserId, events: &[Event<'_>]) {
        self.encoded.clear();
        for event in events {
            frames::write(&mut self.encoded, &mut self.scratch, None, event);
        }
        for connection in self.index.connections(user) {
            if let Some(queue) = io.queue(*connection) {
                queue.extend_from_slice(&self.encoded);
            }
        }
    }

    /// A user who is connected became a member: every connection of theirs starts where the membership does.
    fn member_added(
        &mut self,
        io: &mut Io,
        user: UserId,
        subscription: Subscription,
        from_id: MessageId,
        change: u64,
        membership: &Arc<Membership>,
    ) {
        let channel_id = subscription.channel_id;
        self.index.came_back(user, channel_id, from_id);
        if !self.index.join(user, subscription) {
            return;
        }
        match frames::membership_events(channel_id, membership, Some(user), change) {
            Ok(events) => self.tell(io, user, &events),
            Err(error) => tracing::error!(%error, channel = %channel_id, "a membership can't be shown"),
        }
        let Some(channel) = self.index.channel(channel_id) else { return };
        // Where the shard has not yet seen what is above the membership's own record, all of that comes live.
        let comes_live = channel.last.is_some_and(|last| last <= from_id);
        let reading = Reading { after: from_id, after_change: Some(change), as_events: true };
        for connection in self.index.connections(user).to_vec() {
            let reader = self.table.client(connection).and_then(|client| client.reader.as_mut());
            // A sync that asked for the channel has its read under way.
            let asked = reader.and_then(|reader| reader.take_expected(channel_id));
            let Some(channel) = self.index.channel(channel_id) else { return };
            match asked {
                Some(asked) => channel.set_cursor(connection, Cursor::Reading(reading_of(&asked))),
                None if comes_live => channel.set_cursor(connection, Cursor::Live { floor: from_id }),
                None => {
                    channel.set_cursor(connection, Cursor::Reading(reading));
                    self.read_later(io, connection, channel_id);
                }
            }
        }
    }

    /// From here on not one more event of the channel goes to the user, but what became of their own words. What ended it,
    /// they are told once its number is known.
    fn member_removed(&mut self, io: &mut Io, user: UserId, channel: ChannelId) {
        if !self.index.leave(user, channel) {
            return;
        }
        self.index.hear_out(user, channel, io.now());
        for connection in self.index.connections(user).to_vec() {
            self.drop_read(io, connection, channel, ErrorCode::NotAMember);
        }
    }

    fn departed(
        &mut self,
        io: &mut Io,
        users: &[UserId],
        channel: ChannelId,
        change: u64,
        membership: &Arc<Membership>,
    ) {
        for user in users {
            match frames::membership_events(channel, membership, Some(*user), change) {
                Ok(events) => self.tell(io, *user, &events),
                Err(error) => tracing::error!(%error, %channel, "the end of a membership can't be shown"),
            }
        }
    }

    fn session_ended(&mut self, io: &mut Io, user: UserId, session: Option<SessionId>) {
        for connection in self.index.connections(user).to_vec() {
            let ended = self
                .table
                .client(connection)
                .is_some_and(|client| session.is_none_or(|session| session == client.session_id));
            if ended {
                self.silence(io, connection, GoodbyeReason::Policy, CloseCode::SignedOut);
            }
        }
    }

    /// Lets a connection go such that not one more event reaches it: nothing that is queued is sent any more, but for
    /// what the kernel has.
    fn silence(&mut self, io: &mut Io, connection: ConnectionId, reason: GoodbyeReason, code: CloseCode) {
        if let Some(client) = self.table.client(connection) {
            let user = client.user_id;
            self.index.disconnect(user, connection);
        }
        if let Some(queue) = io.queue(connection) {
            queue.clear();
        }
        self.let_go_by_id(io, connection, reason, code);
    }

    /// The slot is lost, or may be: nothing that was learned in its name may be said any more.
    pub(crate) fn fenced(&mut self, io: &mut Io) {
        for connection in self.table.ids() {
            match self.table.take(connection) {
                Some(Phase::Open(open)) => {
                    self.table.put(connection, Phase::Open(open));
                    self.silence(io, connection, GoodbyeReason::Draining, CloseCode::Draining);
                }
                Some(Phase::Admitting(admitting)) => {
                    self.table.put(connection, Phase::Admitting(admitting));
                    self.refuse(io, connection, &Refused::Unavailable);
                }
                Some(other) => self.table.put(connection, other),
                None => {}
            }
        }
    }

    /// Lets everybody go, spread over as much of the window as their number asks for.
    fn drain(&mut self, io: &mut Io, window_ms: u64) {
        self.draining = true;
        let connections = self.table.ids();
        let spread_ms = (connections.len() as u64 / DRAINED_PER_MS).min(window_ms / 2) + 1;
        for connection in connections {
            if self.table.client(connection).is_some_and(|client| !client.ending) {
                let after = Duration::from_millis(rand::random_range(0..spread_ms));
                self.set_timer(io, connection, after);
            }
        }
    }
}
