//! `notification`: for members who are here and away, beside the message itself.

use ringside_edge_protocol::Attention;
use ringside_session::frames;
use ringside_types::{ChannelId, MessageId, UnixMillis, UserId};
use ringside_wire::event::{Event, Notification, NotificationKind};
use ringside_wire::mention::Mentions;
use ringside_wire::records::{Edited, Effective, amended, effective};
use ringside_wire::user_id;

use crate::counters::add;
use crate::gateway::Gateway;
use crate::index::UserKey;
use crate::sockets::Sockets;

impl Gateway {
    /// Tells members who are away that there is a new message, or that one names them now, but for its sender and who has
    /// muted the channel or blocked the sender.
    pub(crate) fn notify(&mut self, io: &mut impl Sockets, channel_id: ChannelId, effective: &Effective) {
        if !self.index.is_anyone_away() {
            return;
        }
        let Some(News { message_id, sender_id, mentions, earlier }) = News::of(effective) else { return };
        let now = self.time(io);
        if earlier.as_ref().is_some_and(|earlier| earlier.everyone) {
            return;
        }
        let Self { index, scratch, counters, .. } = self;
        let sender = index.user_key(sender_id);
        let keys = |mentions: &Mentions| -> Vec<UserKey> {
            mentions.users.iter().filter_map(|user| index.user_key(*user)).collect()
        };
        let (named, named_before) = (keys(&mentions), earlier.as_ref().map(keys));
        let mut deliveries = 0;
        index.each_away(channel_id, message_id, |user, attention, connections| {
            let is_blocked = attention.blocked.contains(&sender_id);
            if sender == Some(user) || is_blocked || is_muted(attention, channel_id, now) {
                return;
            }
            let is_named = mentions.everyone || named.contains(&user);
            if named_before.as_ref().is_some_and(|before| !is_named || before.contains(&user)) {
                return;
            }
            let kind = if is_named {
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

/// What those who are away may want to know of.
struct News {
    message_id: MessageId,
    /// Whose doing it is.
    sender_id: UserId,
    /// Whom the message names as it is now.
    mentions: Mentions,
    /// Whom an edited message named before: those whom it names beside them are told, and nobody else.
    earlier: Option<Mentions>,
}

impl News {
    fn of(effective: &Effective) -> Option<Self> {
        match &effective.event {
            Some(effective::Event::Message(new)) => Some(Self {
                message_id: MessageId(effective.id),
                sender_id: user_id(&new.sender_id).ok()?,
                mentions: Mentions::in_metadata(&new.metadata),
                earlier: None,
            }),
            Some(effective::Event::Amended(amended)) => match &amended.change {
                Some(amended::Change::Edited(Edited {
                    mentions: Some(mentions),
                    earlier: Some(earlier),
                    ..
                })) => Some(Self {
                    message_id: MessageId(amended.message_id),
                    sender_id: user_id(&amended.actor_id).ok()?,
                    mentions: Mentions::from_record(mentions).ok()?,
                    earlier: Some(Mentions::from_record(earlier).ok()?),
                }),
                _ => None,
            },
            _ => None,
        }
    }
}

fn is_muted(attention: &Attention, channel: ChannelId, now: UnixMillis) -> bool {
    attention.muted.iter().any(|(of, until)| *of == channel && *until > now)
}
