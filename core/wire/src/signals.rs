//! What passes by: receipts, typing, presence. None of it is part of a channel's history.

use std::borrow::Cow;

use ringside_types::limits::{PRESENCE_USERS_MAX, STATUS_MESSAGE_CHARS_MAX};
use ringside_types::{ChannelId, MessageId, UnixMillis, UserId};
use serde::{Deserialize, Serialize};

use crate::command::Refused;

/// `message.delivered` or `message.read`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Receipt {
    pub channel_id: ChannelId,
    /// Up to this message.
    pub message_id: MessageId,
    /// Read, which is delivered as well.
    pub is_read: bool,
}

/// `typing.start` or `typing.stop`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Typing {
    pub channel_id: ChannelId,
    pub is_typing: bool,
}

#[derive(Deserialize)]
pub(crate) struct ChannelPayload {
    pub(crate) channel_id: ChannelId,
}

/// The payload of `message.status`.
#[derive(Debug, Serialize)]
pub struct StatusUpdated {
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
    pub channel_id: ChannelId,
    /// Who types now, but the one who is told; empty: nobody any more.
    pub users: &'a [UserId],
}

/// What a client says of being there.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum PresenceStatus {
    Online,
    /// There, and not looking.
    Away,
    /// There, and not to be disturbed.
    Dnd,
    /// Not to be seen.
    Offline,
}

/// The payload of `presence.set`.
#[derive(Debug, PartialEq, Eq, Deserialize)]
pub struct PresenceSet<'a> {
    pub status: PresenceStatus,
    /// What the user says of themselves from now on; absent: as before; empty: nothing.
    #[serde(borrow, default)]
    pub status_message: Option<Cow<'a, str>>,
}

impl PresenceSet<'_> {
    pub(crate) fn validated(self) -> Result<Self, Refused> {
        let text = self.status_message.as_deref().unwrap_or_default();
        if text.chars().count() > STATUS_MESSAGE_CHARS_MAX || text.chars().any(char::is_control) {
            return Err(Refused::bad_request(format!(
                "`status_message` has up to {STATUS_MESSAGE_CHARS_MAX} characters, none of them a control character."
            )));
        }
        Ok(self)
    }
}

/// The payload of `presence.subscribe` and `presence.unsubscribe`.
#[derive(Debug, PartialEq, Eq, Deserialize)]
pub struct PresenceUsers {
    pub user_ids: Vec<UserId>,
}

impl PresenceUsers {
    pub(crate) fn validated(mut self) -> Result<Vec<UserId>, Refused> {
        if self.user_ids.len() > PRESENCE_USERS_MAX {
            let sentence = format!("`user_ids` names at most {PRESENCE_USERS_MAX} users.");
            return Err(Refused::bad_request(sentence));
        }
        self.user_ids.sort_unstable();
        self.user_ids.dedup();
        Ok(self.user_ids)
    }
}

/// The payload of `presence.update`.
#[derive(Debug, Serialize)]
pub struct PresenceUpdated<'a> {
    pub user_id: UserId,
    /// `online`, `away`, `dnd` or `offline`.
    pub status: &'a str,
    /// What they say of themselves; `None`: nothing.
    pub status_message: Option<&'a str>,
    /// When they were last there; `None`: never, or it is hidden.
    pub last_seen_at: Option<UnixMillis>,
}
