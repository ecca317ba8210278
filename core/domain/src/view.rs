//! A message as the members of its channel see it: what its row holds, without what the store keeps for itself.

use std::borrow::Cow;

use ringside_types::{ChannelId, ClientId, MessageId, UnixMillis, UserId};
use ringside_wire::message::{ContentType, Message, MessageReaction, Sender, metadata};

use crate::reactions::ReactionSummary;
use crate::rows::MessageRow;

/// A message without its sender's name and the reactions on it, which are read apart.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct MessageView<'a> {
    pub channel_id: ChannelId,
    pub message_id: MessageId,
    /// Its position among the channel's messages.
    pub seq: u64,
    /// The sender's own id.
    pub client_id: ClientId,
    pub sender_id: UserId,
    /// Empty where it is deleted.
    pub content: Cow<'a, str>,
    pub content_type: ContentType,
    /// A JSON object, or empty.
    pub metadata: Cow<'a, str>,
    /// The message that it answers.
    pub reply_to: Option<MessageId>,
    /// When it was last edited.
    pub edited_at: Option<UnixMillis>,
    pub is_deleted: bool,
}

impl MessageView<'_> {
    /// The message as it is written to clients, with those of `tallies` that are its own. A deleted one shows none.
    pub fn to_message<'b>(&'b self, sender: Sender<'b>, tallies: &'b [ReactionSummary]) -> Message<'b> {
        let own = tallies.iter().filter(|tally| tally.message_id == self.message_id && !self.is_deleted);
        let reactions = own.map(|tally| MessageReaction {
            emoji: &tally.emoji,
            count: tally.count,
            users: &tally.users,
            me: tally.is_own,
        });
        Message {
            message_id: self.message_id,
            seq: self.seq,
            client_id: self.client_id,
            channel_id: self.channel_id,
            sender,
            content: self.content.as_ref().into(),
            content_type: self.content_type,
            reply_to: self.reply_to,
            metadata: metadata(&self.metadata),
            created_at: self.message_id.time(),
            edited_at: self.edited_at,
            deleted: self.is_deleted,
            reactions: reactions.collect(),
        }
    }
}

impl<'a> From<&'a MessageRow> for MessageView<'a> {
    fn from(row: &'a MessageRow) -> Self {
        view(row, row.content.as_str().into(), row.metadata.as_str().into())
    }
}

impl From<MessageRow> for MessageView<'static> {
    fn from(mut row: MessageRow) -> Self {
        let content = std::mem::take(&mut row.content);
        let metadata = std::mem::take(&mut row.metadata);
        view(&row, content.into(), metadata.into())
    }
}

fn view<'a>(row: &MessageRow, content: Cow<'a, str>, metadata: Cow<'a, str>) -> MessageView<'a> {
    MessageView {
        channel_id: row.channel_id,
        message_id: row.message_id,
        seq: row.seq,
        client_id: row.client_id,
        sender_id: row.sender_id,
        content,
        content_type: row.content_type,
        metadata,
        reply_to: row.reply_to.non_zero(),
        edited_at: row.edited_record.non_zero().map(MessageId::time),
        is_deleted: row.is_deleted(),
    }
}
