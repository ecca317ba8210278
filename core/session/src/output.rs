//! What a session asks of its caller, beside the frames that it has queued.

use std::collections::VecDeque;
use std::net::IpAddr;
use std::time::Duration;

use bytes::Bytes;
use ringside_domain::page::ChannelRead;
use ringside_types::authorization::Operation;
use ringside_types::{ChannelId, MessageId, SessionId, UserId};
use ringside_wire::InvalidRecord;
use ringside_wire::signals::PresenceStatus;

use crate::cursor::Cursor;
use crate::delivery::Subscription;

/// One thing to do, in the order in which it is polled.
#[derive(Debug, PartialEq)]
pub enum Output {
    /// Ask the node to admit the connection.
    Admit { user_id: UserId, session_id: SessionId },
    /// The connection is open. Enter it and its user's channels into the index, then hand `early`, which came behind the
    /// request, to [`Session::handle_bytes`](crate::session::Session::handle_bytes).
    Opened {
        user_id: UserId,
        channels: Vec<Subscription>,
        /// Bytes of frames.
        early: Vec<u8>,
    },
    /// Hand a command to the node, for the log.
    Submit(Submission),
    /// Hand a receipt or a sign of typing to the node.
    Signal {
        /// The frame's `id`, for a refusal.
        frame_id: Option<Box<str>>,
        user_id: UserId,
        channel_id: ChannelId,
        signal: SignalKind,
        /// Whether the shard knows that the user is a member.
        known_member: bool,
    },
    /// Hand a change of presence to the node.
    Presence {
        /// The frame's `id`, for a refusal.
        frame_id: Option<Box<str>>,
        user_id: UserId,
        change: PresenceChange,
    },
    /// Ask the node for parts of channels.
    Read {
        user_id: UserId,
        /// The parts, in the order in which they are wanted.
        channels: Vec<ChannelRead>,
        /// How many of them may bring messages or changes.
        pages_max: usize,
    },
    /// The connection stands here in a channel, as the index is to know.
    SetCursor(ChannelId, Cursor),
    /// Set the connection's one timer, in place of the one before.
    SetTimer(Duration),
    /// More is to be read once the client has taken what is queued, or the node has room: call
    /// [`Session::handle_stalled`](crate::session::Session::handle_stalled) in the next turn.
    Stalled,
    /// Take the connection out of the index: nothing more is for it.
    Leave(UserId),
    /// Close, and drop what is queued.
    CloseNow,
    /// Send what is queued, then close.
    CloseAfterFlush,
    /// Send what is queued, then wait for the peer to close: it may still be sending.
    CloseAfterAnswer,
    /// Tell the node, which was asked to admit the connection, that it is gone.
    Gone,
    /// Log and count a handshake that was refused.
    HandshakeRefused {
        /// One of [`REFUSAL_REASONS`](crate::handshake::REFUSAL_REASONS).
        reason: &'static str,
        /// Whom a trusted proxy says that it was from.
        client: Option<IpAddr>,
    },
    /// Log and count a fresh token that was refused.
    TokenRefused {
        /// One of [`AUTH_REFUSAL_REASONS`](crate::handshake::AUTH_REFUSAL_REASONS).
        reason: &'static str,
        user_id: UserId,
    },
    /// Log that a page holds a record that can't be shown.
    InvalidPage(ChannelId, InvalidRecord),
}

/// A message, or a change of one, on its way to the log.
#[derive(Debug, PartialEq)]
pub struct Submission {
    /// The frame's `id`, to be echoed.
    pub frame_id: Option<Box<str>>,
    pub user_id: UserId,
    /// The channel, for partition and limit.
    pub channel_id: ChannelId,
    /// An encoded `Command` record.
    pub record: Bytes,
    /// Whether the shard knows that the user is a member.
    pub known_member: bool,
    /// What it does, as far as the shard can tell: changes of messages count as if they were the sender's own.
    pub operation: Operation,
    /// Whether its text may name members.
    pub may_mention: bool,
}

/// A receipt, or a sign of typing.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum SignalKind {
    /// Everything up to this message came to a device of the user's.
    Delivered(MessageId),
    /// The user has read everything up to this message.
    Read(MessageId),
    Typing,
    /// The user types no more.
    StoppedTyping,
}

/// What a connection says of its user's presence, or whose it watches.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum PresenceChange {
    /// The connection says this from now on, and its user perhaps something else of themselves.
    Set {
        status: PresenceStatus,
        /// Of the user; `None`: as before.
        status_message: Option<String>,
    },
    /// Be told of these users.
    Watch(Vec<UserId>),
    /// Be told of these no more.
    Unwatch(Vec<UserId>),
}

/// What a call has asked for. Whoever drives sessions holds one for all of them, so that an idle session holds none.
#[derive(Debug, Default)]
pub struct Outputs(VecDeque<Output>);

impl Outputs {
    /// The next thing to do. Poll until there is none, after each call of a session.
    pub fn poll_output(&mut self) -> Option<Output> {
        self.0.pop_front()
    }

    pub(crate) fn push(&mut self, output: Output) {
        self.0.push_back(output);
    }

    pub(crate) fn len(&self) -> usize {
        self.0.len()
    }
}
