//! Keys and values of what is hung on messages: reactions, pins, and which messages reply to which.

use ringside_domain::rows::{MessageRow, PinRow, ReactionRow, WriteTimestamp};
use ringside_types::{ChannelId, MessageId, UserId};

use super::layout::{Builder, Reader};
use super::rows::{Row, message_key};

/// What the keys of all reactions with one emoji on a message begin with.
pub(crate) fn reaction_prefix(channel: ChannelId, message: MessageId, emoji: &str) -> Vec<u8> {
    Builder::default().raw(channel.as_bytes()).u64(message.0).sized(emoji.as_bytes()).done()
}

impl Row for ReactionRow {
    fn key(&self) -> Vec<u8> {
        let mut key = reaction_prefix(self.channel_id, self.message_id, &self.emoji);
        key.extend_from_slice(self.user_id.as_bytes());
        key.extend_from_slice(&self.from_id.0.to_be_bytes());
        key
    }

    fn rank(&self) -> u64 {
        self.stamp.0
    }

    fn stamped_by(&self) -> Option<ChannelId> {
        Some(self.channel_id)
    }

    fn value(&self) -> Vec<u8> {
        Builder::value(self.stamp.0, 8).u64(self.to_id.0).done()
    }

    fn read(key: &[u8], value: &[u8]) -> Option<Self> {
        let mut key = Reader::key(key);
        let (stamp, mut value) = Reader::value(value)?;
        let row = Self {
            channel_id: ChannelId(key.uuid()?),
            message_id: MessageId(key.u64()?),
            emoji: key.text()?,
            user_id: UserId(key.uuid()?),
            from_id: MessageId(key.u64()?),
            to_id: MessageId(value.u64()?),
            stamp: WriteTimestamp(stamp),
        };
        key.end()?;
        value.end()?;
        Some(row)
    }
}

impl Row for PinRow {
    fn key(&self) -> Vec<u8> {
        let mut key = message_key(self.channel_id, self.message_id);
        key.extend_from_slice(&self.from_id.0.to_be_bytes());
        key
    }

    fn rank(&self) -> u64 {
        self.stamp.0
    }

    fn stamped_by(&self) -> Option<ChannelId> {
        Some(self.channel_id)
    }

    fn value(&self) -> Vec<u8> {
        Builder::value(self.stamp.0, 24).u64(self.to_id.0).raw(self.actor_id.as_bytes()).done()
    }

    fn read(key: &[u8], value: &[u8]) -> Option<Self> {
        let mut key = Reader::key(key);
        let (stamp, mut value) = Reader::value(value)?;
        let row = Self {
            channel_id: ChannelId(key.uuid()?),
            message_id: MessageId(key.u64()?),
            from_id: MessageId(key.u64()?),
            to_id: MessageId(value.u64()?),
            actor_id: UserId(value.uuid()?),
            stamp: WriteTimestamp(stamp),
        };
        key.end()?;
        value.end()?;
        Some(row)
    }
}

/// The key of one reply, and the bound of a range of replies.
pub(crate) fn reply_key(channel: ChannelId, answered: MessageId, reply: MessageId) -> Vec<u8> {
    Builder::default().raw(channel.as_bytes()).u64(answered.0).u64(reply.0).done()
}

/// A message that answers another. All of it is in the key.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct ReplyRow {
    pub(crate) channel_id: ChannelId,
    pub(crate) answered: MessageId,
    pub(crate) reply: MessageId,
    pub(crate) stamp: WriteTimestamp,
}

impl ReplyRow {
    /// `None`: the message answers none.
    pub(crate) fn of(row: &MessageRow) -> Option<Self> {
        let answered = row.reply_to.non_zero()?;
        Some(Self { channel_id: row.channel_id, answered, reply: row.message_id, stamp: row.stamp })
    }
}

impl Row for ReplyRow {
    fn key(&self) -> Vec<u8> {
        reply_key(self.channel_id, self.answered, self.reply)
    }

    fn rank(&self) -> u64 {
        self.stamp.0
    }

    fn stamped_by(&self) -> Option<ChannelId> {
        Some(self.channel_id)
    }

    fn value(&self) -> Vec<u8> {
        Builder::value(self.stamp.0, 0).done()
    }

    fn read(key: &[u8], value: &[u8]) -> Option<Self> {
        let mut key = Reader::key(key);
        let (stamp, value) = Reader::value(value)?;
        let (channel_id, answered, reply) =
            (ChannelId(key.uuid()?), MessageId(key.u64()?), MessageId(key.u64()?));
        key.end()?;
        value.end()?;
        Some(Self { channel_id, answered, reply, stamp: WriteTimestamp(stamp) })
    }
}

#[cfg(test)]
mod tests {
    use super::super::rows::tests::comes_back;
    use super::*;
    use uuid::Uuid;

    #[test]
    fn every_row_comes_back_and_damage_is_seen() {
        let (channel_id, user_id) = (ChannelId(Uuid::from_u128(1)), UserId(Uuid::from_u128(2)));
        let (message_id, from_id, stamp) = (MessageId(5), MessageId(7), WriteTimestamp(99));
        comes_back(ReactionRow {
            channel_id,
            message_id,
            emoji: "👍🏽".into(),
            user_id,
            from_id,
            to_id: MessageId(9),
            stamp,
        });
        comes_back(PinRow {
            channel_id,
            message_id,
            from_id,
            to_id: MessageId::ZERO,
            actor_id: user_id,
            stamp,
        });
        comes_back(ReplyRow { channel_id, answered: MessageId(3), reply: message_id, stamp });
    }
}
