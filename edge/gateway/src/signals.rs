//! Receipts, typing and presence, told to those whom they concern. They are outside the chain, so a connection that
//! reads what it missed is told as well.

mod notifications;

use ringside_edge_protocol::{PresenceSeen, Signal};
use ringside_reactor::ConnectionId;
use ringside_session::delivery::Delivery;
use ringside_session::frames;
use ringside_types::{ChannelId, UserId};
use ringside_wire::event::Event;
use ringside_wire::signals::{PresenceUpdated, StatusUpdated, TypingUpdated};

use crate::counters::add;
use crate::gateway::Gateway;
use crate::index::UserKey;
use crate::sockets::Sockets;

impl Gateway {
    pub(crate) fn presences(&mut self, io: &mut impl Sockets, seen: &[PresenceSeen]) {
        for one in seen {
            let update = PresenceUpdated {
                user_id: one.user_id,
                status: one.status,
                status_message: (!one.status_message.is_empty()).then_some(one.status_message.as_str()),
                last_seen_at: one.last_seen_at,
            };
            self.tell(io, ConnectionId::from_u64(one.token), Delivery::Presence(update));
        }
    }

    pub(crate) fn signals(&mut self, io: &mut impl Sockets, signals: &[Signal]) {
        for signal in signals {
            match signal {
                Signal::Status {
                    channel_id,
                    user_id,
                    last_delivered_id,
                    last_read_id,
                    own_devices_only,
                    hidden_from,
                } => {
                    let status = StatusUpdated {
                        channel_id: *channel_id,
                        user_id: *user_id,
                        last_delivered_id: last_delivered_id.non_zero(),
                        last_read_id: last_read_id.non_zero(),
                    };
                    self.status(io, status, *own_devices_only, hidden_from);
                }
                Signal::Typing { channel_id, user_id, users } => {
                    self.typists(io, *channel_id, *user_id, users);
                }
            }
        }
    }

    /// Told to the user's own devices, and to the members who may know.
    fn status(
        &mut self,
        io: &mut impl Sockets,
        status: StatusUpdated,
        own_only: bool,
        hidden_from: &[UserId],
    ) {
        let Self { index, encoded, scratch, counters, .. } = self;
        let channel_id = status.channel_id;
        let own = index.user_key(status.user_id);
        let hidden: Vec<UserKey> = hidden_from.iter().filter_map(|user| index.user_key(*user)).collect();
        encoded.clear();
        frames::write(encoded, scratch, None, &Event::MessageStatus(status));
        let takes = |user| Some(user) == own || !own_only && !hidden.contains(&user);
        let mut deliveries = 0;
        index.each_member(channel_id, takes, |_, connection| {
            if let Some(queue) = io.queue(connection) {
                queue.extend_from_slice(encoded);
                deliveries += 1;
            }
        });
        add(&counters.deliveries, deliveries);
    }

    /// Told to all members but the one whose typing changed; those who type see the others.
    fn typists(&mut self, io: &mut impl Sockets, channel_id: ChannelId, changed: UserId, users: &[UserId]) {
        let Self { index, encoded, scratch, counters, .. } = self;
        let changed = index.user_key(changed);
        let typists: Vec<(UserKey, UserId)> =
            users.iter().filter_map(|user| Some((index.user_key(*user)?, *user))).collect();
        encoded.clear();
        frames::write(encoded, scratch, None, &Event::TypingUpdate(TypingUpdated { channel_id, users }));
        let mut deliveries = 0;
        let takes = |user| Some(user) != changed;
        index.each_member(channel_id, takes, |user, connection| {
            let Some(queue) = io.queue(connection) else { return };
            deliveries += 1;
            let Some((_, own)) = typists.iter().find(|(key, _)| *key == user) else {
                return queue.extend_from_slice(encoded);
            };
            let others: Vec<UserId> = users.iter().filter(|user| *user != own).copied().collect();
            let update = TypingUpdated { channel_id, users: &others };
            frames::write(queue, scratch, None, &Event::TypingUpdate(update));
        });
        add(&counters.deliveries, deliveries);
    }
}
