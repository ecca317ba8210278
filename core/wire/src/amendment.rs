//! Changes of messages that are there: edits, deletions, reactions, pins. What clients ask for, and what they are told.

use std::borrow::Cow;

use ringside_types::authorization::Operation;
use ringside_types::limits::EMOJI_BYTES_MAX;
use ringside_types::text::{self, is_visible};
use ringside_types::{ChannelId, ClientId, MessageId, UnixMillis, UserId};
use serde::{Deserialize, Serialize};

use crate::command::Refused;
use crate::message::Message;
use crate::records::{self, amend};

/// A change that somebody asks for.
#[derive(Debug, PartialEq, Eq)]
pub struct Amend<'a> {
    /// The request's idempotency key, where its `id` is a UUID.
    pub client_id: Option<ClientId>,
    pub channel_id: ChannelId,
    pub message_id: MessageId,
    pub change: Change<'a>,
}

#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Change<'a> {
    Edit(Cow<'a, str>),
    Delete,
    /// A reaction of one's own.
    React {
        emoji: Cow<'a, str>,
        /// Whether it is taken back.
        removed: bool,
    },
    /// Pinned, or no longer.
    Pin(bool),
}

impl Change<'_> {
    /// Checks what the types alone can't.
    ///
    /// # Errors
    /// Content or an emoji that shows nothing, or is none. What is an emoji comes back in its one form.
    pub fn validated(self) -> Result<Self, Refused> {
        match &self {
            Self::Edit(content) if !is_visible(content) => {
                Err(Refused::of_field("content", "`content` shows nothing; delete the message instead."))
            }
            Self::React { emoji, .. } if !is_emoji(emoji) => Err(Refused::of_field(
                "emoji",
                format!(
                    "`emoji` holds from 1 to {EMOJI_BYTES_MAX} bytes that show something, without spaces, slashes and control characters, and is not a dot or two."
                ),
            )),
            Self::React { emoji, removed } => {
                Ok(Self::React { emoji: text::emoji(emoji).into_owned().into(), removed: *removed })
            }
            _ => Ok(self),
        }
    }

    /// The change as the log's record has it.
    pub fn into_record(self) -> amend::Change {
        match self {
            Self::Edit(content) => amend::Change::Content(content.into_owned()),
            Self::Delete => amend::Change::Deleted(true),
            Self::React { emoji, removed } => {
                amend::Change::Reaction(records::Reaction { emoji: emoji.into_owned(), removed })
            }
            Self::Pin(pinned) => amend::Change::Pinned(pinned),
        }
    }
}

impl amend::Change {
    /// What it is in the table of who may, by whether the message is one's own.
    pub const fn operation(&self, is_own: bool) -> Operation {
        match self {
            Self::Content(_) => Operation::editing(is_own),
            Self::Deleted(_) => Operation::deleting(is_own),
            Self::Reaction(reaction) => Operation::reacting(reaction.removed),
            Self::Pinned(pinned) => Operation::pinning(*pinned),
        }
    }
}

fn is_emoji(text: &str) -> bool {
    // It is a segment of a path in REST.
    let fits = (1..=EMOJI_BYTES_MAX).contains(&text.len()) && text != "." && text != "..";
    fits && is_visible(text) && !text.chars().any(|one| one == '/' || one.is_whitespace() || one.is_control())
}

/// The payload of `message.edit`, also the body of the REST endpoint.
#[derive(Debug, Deserialize)]
pub struct EditPayload<'a> {
    #[serde(borrow)]
    pub content: Cow<'a, str>,
}

/// The part of a payload that names a message.
#[derive(Debug, Deserialize)]
pub struct Target {
    pub channel_id: ChannelId,
    pub message_id: MessageId,
}

/// The part of a payload that names an emoji.
#[derive(Debug, Deserialize)]
pub struct EmojiPayload<'a> {
    #[serde(borrow)]
    pub emoji: Cow<'a, str>,
}

/// The payload of `message.updated`.
#[derive(Debug, Serialize)]
pub struct Updated<'a> {
    /// The message as it is.
    #[serde(flatten)]
    pub message: Message<'a>,
    /// The change's number in the channel.
    pub change: u64,
}

/// The payload of `message.deleted`.
#[derive(Debug, Serialize)]
pub struct Deleted {
    pub channel_id: ChannelId,
    pub message_id: MessageId,
    pub deleted_at: UnixMillis,
    /// The change's number in the channel.
    pub change: u64,
}

/// The payload of `reaction.updated`.
#[derive(Debug, Serialize)]
pub struct ReactionUpdated<'a> {
    pub channel_id: ChannelId,
    pub message_id: MessageId,
    pub emoji: &'a str,
    /// Reactions with this emoji on the message, after the change.
    pub count: u64,
    /// The first of those who reacted so.
    pub users: Vec<UserId>,
    pub user_id: UserId,
    /// `add` or `remove`.
    pub op: &'static str,
    /// The change's number in the channel.
    pub change: u64,
}

/// The payload of `message.pinned` and `message.unpinned`.
#[derive(Debug, Serialize)]
pub struct PinChanged {
    pub channel_id: ChannelId,
    pub message_id: MessageId,
    pub actor_id: UserId,
    /// The change's number in the channel.
    pub change: u64,
}

/// The payload of `message.hidden`.
#[derive(Debug, Serialize)]
pub struct Hidden {
    pub channel_id: ChannelId,
    /// The change's number in the channel.
    pub change: u64,
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn emoji_are_short_and_visible() {
        for (text, good) in [
            ("👍🏽", true),
            ("👩‍👩‍👧‍👦", true),
            ("+1", true),
            ("", false),
            ("a b", false),
            ("\u{7}", false),
            ("a/b", false),
            (".", false),
            ("..", false),
            ("...", true),
            (&"x".repeat(EMOJI_BYTES_MAX + 1), false),
        ] {
            let change = Change::React { emoji: text.into(), removed: false };
            assert_eq!(change.validated().is_ok(), good, "{text:?}");
        }
        assert!(Change::Edit("".into()).validated().is_err());
    }
}
