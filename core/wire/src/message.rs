//! A message as clients see it: live, in history, and in sync pages.

use std::borrow::Cow;

use ringside_types::{ChannelId, ClientId, MessageId, UnixMillis, UserId};
use serde::{Deserialize, Serialize};
use serde_json::value::RawValue;

use crate::records;

/// What a message is.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum ContentType {
    #[default]
    Text,
    /// A picture, described in `metadata`.
    Image,
    /// A file, described in `metadata`.
    File,
    /// Text that answers the message `reply_to`.
    Reply,
}

impl ContentType {
    /// The kinds whose `content` may not be empty.
    pub const fn needs_content(self) -> bool {
        matches!(self, Self::Text | Self::Reply)
    }

    /// The name on the wire and in the store.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Text => "text",
            Self::Image => "image",
            Self::File => "file",
            Self::Reply => "reply",
        }
    }
}

impl From<ContentType> for records::ContentType {
    fn from(kind: ContentType) -> Self {
        match kind {
            ContentType::Text => Self::Text,
            ContentType::Image => Self::Image,
            ContentType::File => Self::File,
            ContentType::Reply => Self::Reply,
        }
    }
}

impl From<records::ContentType> for ContentType {
    fn from(kind: records::ContentType) -> Self {
        match kind {
            records::ContentType::Text => Self::Text,
            records::ContentType::Image => Self::Image,
            records::ContentType::File => Self::File,
            records::ContentType::Reply => Self::Reply,
        }
    }
}

/// Who sent a message, as others see them.
#[derive(Clone, PartialEq, Eq, Debug, Serialize)]
pub struct Sender<'a> {
    pub id: UserId,
    /// The unique name.
    pub username: Cow<'a, str>,
    /// The name to show.
    pub display_name: Cow<'a, str>,
    /// The picture, if any.
    pub avatar_url: Option<Cow<'a, str>>,
}

impl<'a> Sender<'a> {
    /// The profile that a record carries.
    pub fn from_record(id: UserId, profile: &'a records::Profile) -> Self {
        let avatar_url = (!profile.avatar_url.is_empty()).then(|| profile.avatar_url.as_str().into());
        Self {
            id,
            username: profile.username.as_str().into(),
            display_name: profile.display_name.as_str().into(),
            avatar_url,
        }
    }
}

/// The payload of `message.new`, and an item of history.
#[derive(Clone, Debug, Serialize)]
pub struct Message<'a> {
    pub message_id: MessageId,
    /// The position in the channel: 1, 2, 3 … without holes.
    pub seq: u64,
    /// The sender's own id of the request.
    pub client_id: ClientId,
    pub channel_id: ChannelId,
    pub sender: Sender<'a>,
    /// The text; empty for a tombstone.
    pub content: Cow<'a, str>,
    pub content_type: ContentType,
    /// The message that it answers.
    pub reply_to: Option<MessageId>,
    /// What the client attached.
    pub metadata: Option<&'a RawValue>,
    /// When the log took it.
    pub created_at: UnixMillis,
    /// When it was last edited.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub edited_at: Option<UnixMillis>,
    /// Whether this is the tombstone of a deleted message.
    #[serde(skip_serializing_if = "std::ops::Not::not")]
    pub deleted: bool,
    /// How reactions stand on it, where it is read and not new.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub reactions: Vec<MessageReaction<'a>>,
}

/// How one emoji stands on a message, as its reader sees it.
#[derive(Clone, Debug, Serialize)]
pub struct MessageReaction<'a> {
    pub emoji: &'a str,
    /// How many reacted so.
    pub count: u64,
    /// The first of them.
    pub users: &'a [UserId],
    /// Whether the reader is one of them, shown or not.
    pub me: bool,
}

/// Reads stored metadata; `None` when it is empty (or, which a validated record never is, not JSON).
pub fn metadata(text: &str) -> Option<&RawValue> {
    if text.is_empty() { None } else { serde_json::from_str(text).ok() }
}

/// The message that an effective record made, as clients see it.
pub fn from_record<'a>(
    channel_id: ChannelId,
    id: MessageId,
    seq: u64,
    new: &'a records::NewMessage,
) -> Result<Message<'a>, crate::InvalidRecord> {
    static NOBODY: records::Profile =
        records::Profile { username: String::new(), display_name: String::new(), avatar_url: String::new() };
    let sender_id = crate::user_id(&new.sender_id)?;
    Ok(Message {
        message_id: id,
        seq,
        client_id: crate::client_id(&new.client_id)?,
        channel_id,
        sender: Sender::from_record(sender_id, new.sender.as_ref().unwrap_or(&NOBODY)),
        content: new.content.as_str().into(),
        content_type: new.content_type().into(),
        reply_to: MessageId(new.reply_to).non_zero(),
        metadata: metadata(&new.metadata),
        created_at: id.time(),
        edited_at: (new.edited_at_ms > 0).then_some(UnixMillis(new.edited_at_ms)),
        deleted: new.deleted,
        reactions: Vec::new(),
    })
}
