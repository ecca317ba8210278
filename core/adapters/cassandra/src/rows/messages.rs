//! Messages, and what hangs on them: replies, reactions, pins, months.

use ringside_domain::rows::{MessageRow, PinRow, ReactionRow, WriteTimestamp};
use ringside_types::{ChannelId, ClientId, MessageId, UserId};
use ringside_wire::message::ContentType;

use super::{Columns, Row, Stored, Values};
use crate::buckets::Month;
use crate::statements::Statement;

impl Row for MessageRow {
    const PUT: Statement = Statement::PutMessage;

    fn rank(&self) -> u64 {
        self.stamp.0
    }

    fn columns(&self) -> Values {
        Values::default()
            .uuid(self.channel_id.0)
            .text(Month::of(self.message_id).to_string())
            .u64(self.message_id.0)
            .u64(self.prev.0)
            .u64(self.seq)
            .u64(self.change)
            .uuid(self.client_id.0)
            .uuid(self.sender_id.0)
            .text(&self.content)
            .text(self.content_type.name())
            .text(&self.metadata)
            .u64(self.reply_to.0)
            .u64(self.edited_record.0)
            .u64(self.deleted_record.0)
    }
}

impl Stored for MessageRow {
    fn read(columns: &mut Columns) -> Option<Self> {
        let (channel_id, bucket) = (ChannelId(columns.uuid()?), columns.text()?);
        let row = Self {
            channel_id,
            message_id: columns.id()?,
            prev: columns.id()?,
            seq: columns.u64()?,
            change: columns.u64()?,
            client_id: ClientId(columns.uuid()?),
            sender_id: UserId(columns.uuid()?),
            content: columns.text()?,
            content_type: content_type(&columns.text()?)?,
            metadata: columns.text()?,
            reply_to: columns.id()?,
            edited_record: columns.id()?,
            deleted_record: columns.id()?,
            stamp: columns.stamp()?,
        };
        (Month::of(row.message_id).to_string() == bucket).then_some(row)
    }
}

fn content_type(name: &str) -> Option<ContentType> {
    let all = [ContentType::Text, ContentType::Image, ContentType::File, ContentType::Reply];
    all.into_iter().find(|kind| kind.name() == name)
}

/// A message that answers another. All of it is in the key.
pub(crate) struct ReplyRow {
    pub(crate) channel_id: ChannelId,
    pub(crate) reply_to: MessageId,
    pub(crate) message_id: MessageId,
    pub(crate) stamp: WriteTimestamp,
}

impl ReplyRow {
    /// `None`: the message answers none.
    pub(crate) fn of(row: &MessageRow) -> Option<Self> {
        let reply_to = row.reply_to.non_zero()?;
        Some(Self { channel_id: row.channel_id, reply_to, message_id: row.message_id, stamp: row.stamp })
    }
}

impl Row for ReplyRow {
    const PUT: Statement = Statement::PutReply;

    fn rank(&self) -> u64 {
        self.stamp.0
    }

    fn columns(&self) -> Values {
        Values::default().uuid(self.channel_id.0).u64(self.reply_to.0).u64(self.message_id.0)
    }
}

/// A message that answers the one asked about.
pub(crate) struct Reply(pub(crate) MessageId);

impl Stored for Reply {
    fn read(columns: &mut Columns) -> Option<Self> {
        let (_channel, _reply_to) = (columns.uuid()?, columns.u64()?);
        columns.id().map(Self)
    }
}

/// A month in which a channel has something.
pub(crate) struct BucketRow {
    pub(crate) channel_id: ChannelId,
    pub(crate) month: Month,
}

impl Row for BucketRow {
    const PUT: Statement = Statement::PutBucket;

    /// Whoever writes it writes the same, and nobody deletes it.
    fn rank(&self) -> u64 {
        1
    }

    fn columns(&self) -> Values {
        Values::default().uuid(self.channel_id.0).text(self.month.to_string())
    }
}

impl Stored for Month {
    fn read(columns: &mut Columns) -> Option<Self> {
        let _channel = columns.uuid()?;
        Self::parse(&columns.text()?)
    }
}

impl Row for ReactionRow {
    const PUT: Statement = Statement::PutReaction;

    fn rank(&self) -> u64 {
        self.stamp.0
    }

    fn columns(&self) -> Values {
        Values::default()
            .uuid(self.channel_id.0)
            .text(Month::of(self.message_id).to_string())
            .u64(self.message_id.0)
            .text(&self.emoji)
            .uuid(self.user_id.0)
            .u64(self.from_id.0)
            .u64(self.to_id.0)
    }
}

impl Stored for ReactionRow {
    fn read(columns: &mut Columns) -> Option<Self> {
        let (channel_id, _bucket) = (ChannelId(columns.uuid()?), columns.text()?);
        Some(Self {
            channel_id,
            message_id: columns.id()?,
            emoji: columns.text()?,
            user_id: UserId(columns.uuid()?),
            from_id: columns.id()?,
            to_id: columns.id()?,
            stamp: columns.stamp()?,
        })
    }
}

impl Row for PinRow {
    const PUT: Statement = Statement::PutPin;

    fn rank(&self) -> u64 {
        self.stamp.0
    }

    fn columns(&self) -> Values {
        Values::default()
            .uuid(self.channel_id.0)
            .u64(self.message_id.0)
            .u64(self.from_id.0)
            .u64(self.to_id.0)
            .uuid(self.actor_id.0)
    }
}

impl Stored for PinRow {
    fn read(columns: &mut Columns) -> Option<Self> {
        Some(Self {
            channel_id: ChannelId(columns.uuid()?),
            message_id: columns.id()?,
            from_id: columns.id()?,
            to_id: columns.id()?,
            actor_id: UserId(columns.uuid()?),
            stamp: columns.stamp()?,
        })
    }
}
