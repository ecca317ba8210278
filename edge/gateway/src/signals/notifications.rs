//! `notification`: for members who are here and away, beside the message itself.

use ringside_reactor::Io;
use ringside_session::mail::Attention;
use ringside_types::{ChannelId, MessageId, UnixMillis};
use ringside_wire::event::{Event, Notification, NotificationKind};
use ringside_wire::mention::Mentions;
use ringside_wire::records::{Effective, effective};
use ringside_wire::user_id;

use crate::counters::add;
use crate::frames;
use crate::gateway::Gateway;
use crate::index::UserKey;

impl Gateway {
    /// Tells members who are away that there is a new message, but for its sender and who has muted the channel or
    /// blocked the sender.
    pub(crate) fn notify(&mut self, io: &mut Io, channel_id: ChannelId, effective: &Effective) {
        let Some(effective::Event::Message(new)) = &effective.event else { return };
        if !self.index.is_anyone_away() {
            return;
        }
        let message_id = MessageId(effective.id);
        let now = self.time(io);
        let Self { index, scratch, counters, .. } = self;
        let Ok(sender_id) = user_id(&new.sender_id) else { return };
        let sender = index.user_key(sender_id);
        let mentions = Mentions::in_metadata(&new.metadata);
        let named: Vec<UserKey> = mentions.users.iter().filter_map(|user| index.user_key(*user)).collect();
        let mut deliveries = 0;
        index.each_away(channel_id, |user, attention, connections| {
            let is_blocked = attention.blocked.contains(&sender_id);
            if sender == Some(user) || is_blocked || is_muted(attention, channel_id, now) {
                return;
            }
            let kind = if mentions.everyone || named.contains(&user) {
                NotificationKind::Mention
            } else if attention.direct.contains(&channel_id) {
                NotificationKind::Direct
            } else {
                NotificationKind::Message
            };
            let event = Event::Notification(Notification { channel_id, message_id, kind });
            for connection in connections {
                if let Some(queue) = io.queue(*connection) {
                    frames::write(queue, scratch, None, &event);
                    deliveries += 1;
                }
            }
        });
        add(&counters.deliveries, deliveries);
    }
}

fn is_muted(attention: &Attention, channel: ChannelId, now: UnixMillis) -> bool {
    attention.muted.iter().any(|(of, until)| *of == channel && *until > now)
}
