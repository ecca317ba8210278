//! What the node tells a shard, handed to whom it is for.

use std::time::Duration;

use ringside_clock::boot_time;
use ringside_edge_protocol::{Answer, Outcome, ToShard};
use ringside_reactor::ConnectionId;
use ringside_session::delivery::Delivery;
use ringside_session::frames;
use ringside_types::UserId;
use ringside_wire::records::Rejection;

use crate::config::DRAINED_PER_MS;
use crate::gateway::Gateway;
use crate::sockets::Sockets;

impl Gateway {
    pub(crate) fn deliver(&mut self, io: &mut impl Sockets, delivery: ToShard) {
        let at = ConnectionId::from_u64;
        match delivery {
            ToShard::Admitted { token, profile, budget, channels } => {
                self.tell(io, at(token), Delivery::Admitted { profile, budget, channels });
            }
            ToShard::Refused { token, reason } => self.tell(io, at(token), Delivery::Refused(reason)),
            ToShard::Answers(answers) => self.answers(io, answers),
            ToShard::Events { valid_until, events } => self.events(io, valid_until, &events),
            ToShard::Signals { valid_until, signals } if boot_time() < valid_until => {
                self.signals(io, &signals);
            }
            ToShard::Pages { token, valid_until, pages } if boot_time() < valid_until => {
                self.tell(io, at(token), Delivery::Pages(&pages));
            }
            ToShard::Signals { .. } | ToShard::Pages { .. } => self.fenced(io),
            ToShard::Presence(seen) => self.presences(io, &seen),
            ToShard::Probe(user_id) => self.tell_user(io, user_id, || Delivery::Probe),
            ToShard::Attention { user_id, attention } => self.index.set_attention(user_id, attention),
            ToShard::SignalRefused { token, frame_id, code, message } => {
                let frame_id = frame_id.as_deref();
                self.tell(io, at(token), Delivery::SignalRefused { frame_id, code, message });
            }
            ToShard::Live { channel_id, last } => {
                if let Some(channel) = self.index.channel(channel_id) {
                    channel.last.get_or_insert(last);
                }
            }
            ToShard::Fenced => {
                self.lease = None;
                self.fenced(io);
            }
            ToShard::PageRefused { token, channel_id, code } => {
                self.tell(io, at(token), Delivery::PageRefused { channel_id, code });
            }
            ToShard::Rejected { user_id, rejection } => self.rejected(io, user_id, &rejection),
            ToShard::MemberAdded { user_id, subscription, from_id, change, membership } => {
                self.member_added(io, user_id, subscription, from_id, change, &membership);
            }
            ToShard::MemberRemoved { user_id, channel_id } => self.member_removed(io, user_id, channel_id),
            ToShard::Departed { users, channel_id, change, membership } => {
                self.departed(io, &users, channel_id, change, &membership);
            }
            ToShard::SessionEnded { user_id, session_id } => {
                self.tell_user(io, user_id, || Delivery::SessionEnded(session_id));
            }
            ToShard::Drain { window_ms } => self.drain(io, window_ms),
            ToShard::Seated { slot, epoch } => self.lease = Some((slot, epoch)),
            ToShard::Keys(verifier) => self.verifier = verifier,
            ToShard::WallClock(_) => {}
        }
    }

    fn answers(&mut self, io: &mut impl Sockets, answers: Vec<Answer>) {
        for Answer { token, frame_id, outcome, taken_at } in answers {
            let connection = ConnectionId::from_u64(token);
            let is_live = self.table.session(connection).is_some_and(|session| session.is_live());
            if is_live && outcome == Outcome::Acknowledged {
                let us = io.now().saturating_duration_since(taken_at).as_micros();
                self.counters.ack_seconds.record(u64::try_from(us).unwrap_or(u64::MAX), 1);
            }
            let frame_id = frame_id.as_deref();
            self.tell(io, connection, Delivery::Answer { frame_id, outcome: &outcome });
        }
    }

    fn rejected(&mut self, io: &mut impl Sockets, user: UserId, rejection: &Rejection) {
        self.encoded.clear();
        frames::write_rejection(&mut self.encoded, &mut self.scratch, rejection);
        self.queue_encoded(io, user);
    }

    /// Queues what is encoded to every connection of a user.
    pub(crate) fn queue_encoded(&mut self, io: &mut impl Sockets, user: UserId) {
        for connection in self.index.connections(user) {
            if let Some(queue) = io.queue(*connection) {
                queue.extend_from_slice(&self.encoded);
            }
        }
    }

    /// The slot is lost, or may be: nothing that was learned in its name may be said any more.
    pub(crate) fn fenced(&mut self, io: &mut impl Sockets) {
        for connection in self.table.ids() {
            self.tell(io, connection, Delivery::Fenced);
        }
    }

    /// Lets everybody go, spread over as much of the window as their number asks for.
    fn drain(&mut self, io: &mut impl Sockets, window_ms: u64) {
        self.is_draining = true;
        let connections = self.table.ids();
        let spread_ms = (connections.len() as u64 / DRAINED_PER_MS).min(window_ms / 2) + 1;
        for connection in connections {
            let after = Duration::from_millis(io.random() % spread_ms);
            self.tell(io, connection, Delivery::Drain { after });
        }
    }
}
