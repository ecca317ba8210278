//! What clients are sent: frames, written straight into the caller's buffer.

use std::borrow::Cow;
use std::io::Write as _;

use ringside_types::{ChannelId, ErrorCode, MessageId, UnixMillis, UserId};
use serde::Serialize;
use serde_json::value::RawValue;

use crate::amendment::{Deleted, Hidden, PinChanged, ReactionUpdated, Updated};
use crate::message::Message;
use crate::signals::{PresenceUpdated, StatusUpdated, TypingUpdated};

/// A frame that the server sends, without its `id`.
#[derive(Debug, Serialize)]
#[serde(tag = "type", content = "payload")]
pub enum Event<'a> {
    /// The first frame.
    #[serde(rename = "hello")]
    Hello(Hello),
    /// The log holds the request durably.
    #[serde(rename = "message.ack")]
    Ack(Ack),
    /// Acknowledged, then refused by the pipeline.
    #[serde(rename = "message.rejected")]
    Rejected(Rejected<'a>),
    #[serde(rename = "message.new")]
    MessageNew(&'a Message<'a>),
    /// A message was edited.
    #[serde(rename = "message.updated")]
    MessageUpdated(Box<Updated<'a>>),
    /// A message was deleted.
    #[serde(rename = "message.deleted")]
    MessageDeleted(Deleted),
    /// Somebody reacted to a message, or took it back.
    #[serde(rename = "reaction.updated")]
    ReactionUpdated(ReactionUpdated<'a>),
    /// A message was pinned.
    #[serde(rename = "message.pinned")]
    MessagePinned(PinChanged),
    /// A message is pinned no longer.
    #[serde(rename = "message.unpinned")]
    MessageUnpinned(PinChanged),
    /// Something changed that is hidden from the reader; it says the change's number alone.
    #[serde(rename = "message.hidden")]
    MessageHidden(Hidden),
    /// Messages came to a member's devices, or were read.
    #[serde(rename = "message.status")]
    MessageStatus(StatusUpdated),
    #[serde(rename = "typing.update")]
    TypingUpdate(TypingUpdated<'a>),
    /// Somebody came, went, or says something else.
    #[serde(rename = "presence.update")]
    PresenceUpdate(PresenceUpdated<'a>),
    /// Something came while the user was away.
    #[serde(rename = "notification")]
    Notification(Notification),
    /// A channel was made, the caller being in it.
    #[serde(rename = "channel.created")]
    ChannelCreated(ChannelChanged<'a>),
    /// A channel's name, description, topic or settings changed.
    #[serde(rename = "channel.updated")]
    ChannelUpdated(ChannelChanged<'a>),
    /// A channel is gone.
    #[serde(rename = "channel.deleted")]
    ChannelDeleted(ChannelChanged<'a>),
    /// Someone became a member.
    #[serde(rename = "channel.member_added")]
    MemberAdded(MemberChanged<'a>),
    /// Someone is a member no longer.
    #[serde(rename = "channel.member_removed")]
    MemberRemoved(MemberChanged<'a>),
    /// A member's role is another.
    #[serde(rename = "channel.member_updated")]
    MemberUpdated(MemberChanged<'a>),
    /// A part of what was missed.
    #[serde(rename = "sync.page")]
    SyncPage(SyncPage<'a>),
    /// All of what was missed has been sent.
    #[serde(rename = "sync.done")]
    SyncDone(SyncDone<'a>),
    /// The connection lives on, until the new expiry.
    #[serde(rename = "auth.ok")]
    AuthOk(AuthOk),
    /// The answer to `ping`.
    #[serde(rename = "pong")]
    Pong(&'a RawValue),
    /// The answer to a `ping` without a payload.
    #[serde(rename = "pong")]
    BarePong,
    /// Before a close that the server starts.
    #[serde(rename = "goodbye")]
    Goodbye(Goodbye),
    /// A command was refused.
    #[serde(rename = "error")]
    Error(ErrorPayload<'a>),
}

/// The payload of `hello`.
#[derive(Debug, Serialize)]
pub struct Hello {
    /// This connection, for logs and support.
    pub connection_id: String,
    /// Who the token says this is.
    pub user_id: UserId,
    /// The server pings this often, in milliseconds.
    pub heartbeat_interval_ms: u64,
    pub server_time: UnixMillis,
    /// What the connection is held to.
    pub limits: HelloLimits,
}

/// The limits that a client can do something about.
#[derive(Debug, Clone, Serialize)]
pub struct HelloLimits {
    /// Bytes of one message.
    pub message_bytes: u32,
    /// Messages a second of this user.
    pub messages_per_second: u32,
    /// Messages a minute in one channel.
    pub channel_messages_per_minute: u32,
    /// Connections of this user.
    pub connections_per_user: u32,
    /// A gap above this is answered with `reset`.
    pub sync_messages: u32,
}

/// The payload of `message.ack`.
#[derive(Debug, Serialize)]
pub struct Ack {
    status: &'static str,
}

impl Ack {
    /// The log holds the request durably.
    pub const RECEIVED: Self = Self { status: "received" };
}

/// The payload of `message.rejected`.
#[derive(Debug, Serialize)]
pub struct Rejected<'a> {
    /// The `id` of the refused frame; where it had none, a UUID that nobody else names.
    pub client_id: Cow<'a, str>,
    pub code: &'a str,
    /// A sentence that a person understands.
    pub message: &'a str,
}

/// The payload of `notification`.
#[derive(Debug, Serialize)]
pub struct Notification {
    pub channel_id: ChannelId,
    pub message_id: MessageId,
    pub kind: NotificationKind,
}

/// Why somebody is notified: the first that holds.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum NotificationKind {
    /// The message mentions them, or everyone.
    Mention,
    /// It stands in a DM.
    Direct,
    /// It stands in any other channel of theirs.
    Message,
}

/// The payload of `channel.created`, `channel.updated` and `channel.deleted`.
#[derive(Debug, Serialize)]
pub struct ChannelChanged<'a> {
    /// The channel as it is now.
    #[serde(flatten)]
    pub channel: ChannelView<'a>,
    pub actor_id: UserId,
    /// The change's number in the channel.
    pub change: u64,
}

/// A channel as its members see it.
#[derive(Debug, Clone, Serialize)]
pub struct ChannelView<'a> {
    pub id: ChannelId,
    /// The name; empty for a DM.
    pub name: &'a str,
    /// `dm`, `group`, `private` or `public`.
    #[serde(rename = "type")]
    pub kind: &'a str,
    pub creator_id: UserId,
    /// What it is for.
    pub description: &'a str,
    /// When it was made.
    pub created_at: UnixMillis,
    /// What is talked about now.
    pub topic: &'a str,
    /// What it is held to.
    pub settings: SettingsView,
}

/// What a channel is held to, as its members see it.
#[derive(Debug, Clone, Copy, Serialize)]
pub struct SettingsView {
    /// Seconds between two messages of a member; 0: off.
    pub slow_mode_s: u32,
    /// `everyone` or `admins`.
    pub who_may_post: &'static str,
    /// `all` or `from_join`.
    pub history_for_joiners: &'static str,
}

impl SettingsView {
    /// By what the names stand for.
    pub const fn new(slow_mode_s: u32, admins_post: bool, history_from_join: bool) -> Self {
        Self {
            slow_mode_s,
            who_may_post: if admins_post { "admins" } else { "everyone" },
            history_for_joiners: if history_from_join { "from_join" } else { "all" },
        }
    }
}

/// The payload of `channel.member_added`, `channel.member_removed` and `channel.member_updated`.
#[derive(Debug, Serialize)]
pub struct MemberChanged<'a> {
    pub channel_id: ChannelId,
    /// Who became a member, ceased to be one, or has another role.
    pub user_id: UserId,
    /// The role that they have, or had.
    pub role: &'a str,
    pub actor_id: UserId,
    /// The change's number in the channel.
    pub change: u64,
}

/// The payload of `sync.page`.
#[derive(Debug, Serialize)]
pub struct SyncPage<'a> {
    pub channel_id: ChannelId,
    /// Oldest first, as they are now.
    pub messages: &'a [Message<'a>],
    /// The frames of changes that the client lacks.
    pub changes: Vec<Event<'a>>,
    /// Another page of this channel follows.
    pub has_more: bool,
    /// The gap is larger than what is synced: forget and reload.
    pub reset: bool,
}

/// The payload of `sync.done`.
#[derive(Debug, Serialize)]
pub struct SyncDone<'a> {
    /// Where each channel stands.
    pub channels: &'a [SyncedChannel],
}

/// Where a channel stands after a sync.
#[derive(Debug, Clone, Serialize)]
pub struct SyncedChannel {
    pub channel_id: ChannelId,
    /// Its last message; `None`: it has none.
    pub last_message_id: Option<MessageId>,
    /// Its last message's position.
    pub last_seq: u64,
    /// Its last change's number.
    pub last_change: u64,
    /// Messages that the caller has not read.
    pub unread_count: u64,
}

/// The payload of `auth.ok`.
#[derive(Debug, Serialize)]
pub struct AuthOk {
    /// When the connection's token expires now.
    pub expires_at: UnixMillis,
}

/// The payload of `goodbye`.
#[derive(Debug, Serialize)]
pub struct Goodbye {
    pub reason: GoodbyeReason,
    /// Come back after this long; jittered, so that a storm spreads out.
    pub retry_after_ms: u64,
}

/// Why the server closes.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum GoodbyeReason {
    /// The edge is stopping.
    Draining,
    /// The reader is too slow.
    SlowConsumer,
    TokenExpired,
    /// The edge has too much to do.
    Overloaded,
    /// A rule was broken, or the session ended.
    Policy,
}

/// The payload of `error`.
#[derive(Debug, Serialize)]
pub struct ErrorPayload<'a> {
    pub code: ErrorCode,
    /// A sentence that a person understands.
    pub message: &'a str,
    /// When to try again.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub retry_after_ms: Option<u64>,
    /// The channel, where it is about one of several.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub channel_id: Option<ChannelId>,
}

#[derive(Serialize)]
struct Frame<'a> {
    #[serde(skip_serializing_if = "Option::is_none")]
    id: Option<&'a str>,
    #[serde(flatten)]
    event: &'a Event<'a>,
}

/// Appends the JSON text of a frame to `out`; `id` is that of the command which it answers.
pub fn write(out: &mut Vec<u8>, id: Option<&str>, event: &Event<'_>) {
    if id.is_none() {
        return serde_json::to_writer(out, event).expect("events serialize, and a Vec takes every write");
    }
    // `flatten` goes through a map; only answers to commands pay for it.
    if let Event::Ack(ack) = event {
        let id = serde_json::to_string(&id).expect("a string serializes");
        return write!(out, r#"{{"type":"message.ack","id":{id},"payload":{{"status":"{}"}}}}"#, ack.status)
            .expect("a Vec takes every write");
    }
    serde_json::to_writer(out, &Frame { id, event }).expect("events serialize, and a Vec takes every write");
}

#[cfg(test)]
mod tests {
    use super::*;

    fn text(id: Option<&str>, event: &Event<'_>) -> String {
        let mut out = Vec::new();
        write(&mut out, id, event);
        String::from_utf8(out).expect("JSON is UTF-8")
    }

    #[test]
    fn frames_are_envelopes() {
        assert_eq!(
            text(Some("a\"b"), &Event::Ack(Ack::RECEIVED)),
            r#"{"type":"message.ack","id":"a\"b","payload":{"status":"received"}}"#
        );
        let error = ErrorPayload {
            code: ErrorCode::RateLimited,
            message: "Slow down.",
            retry_after_ms: Some(7),
            channel_id: None,
        };
        assert_eq!(
            text(Some("x"), &Event::Error(error)),
            r#"{"id":"x","type":"error","payload":{"code":"rate_limited","message":"Slow down.","retry_after_ms":7}}"#
        );
        assert_eq!(text(None, &Event::BarePong), r#"{"type":"pong"}"#);
    }
}
