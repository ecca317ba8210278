//! What passes by: receipts and typing. None of it is part of a channel's history.

use ringside_types::{ChannelId, MessageId, UserId};
use serde::{Deserialize, Serialize};

/// `message.delivered` or `message.read`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Receipt {
    /// The channel.
    pub channel_id: ChannelId,
    /// Up to this message.
    pub message_id: MessageId,
    /// Read, which is delivered as well.
    pub is_read: bool,
}

/// `typing.start` or `typing.stop`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Typing {
    /// Where.
    pub channel_id: ChannelId,
    /// Begun, or ended.
    pub is_typing: bool,
}

#[derive(Deserialize)]
pub(crate) struct ChannelPayload {
    pub(crate) channel_id: ChannelId,
}

/// The payload of `message.status`.
#[derive(Debug, Serialize)]
pub struct StatusUpdated {
    /// The channel.
    pub channel_id: ChannelId,
    /// Whose devices, whose eyes.
    pub user_id: UserId,
    /// The last message delivered; `None`: none yet.
    pub last_delivered_id: Option<MessageId>,
    /// The last message read; `None`: none yet.
    pub last_read_id: Option<MessageId>,
}

/// The payload of `typing.update`.
#[derive(Debug, Serialize)]
pub struct TypingUpdated<'a> {
    /// The channel.
    pub channel_id: ChannelId,
    /// Who types now, but the one who is told; empty: nobody any more.
    pub users: &'a [UserId],
}
