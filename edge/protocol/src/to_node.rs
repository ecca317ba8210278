//! What a shard asks of the node.

use std::time::Instant;

use bytes::Bytes;
use ringside_domain::page::ChannelRead;
use ringside_session::output::{PresenceChange, SignalKind};
use ringside_types::authorization::Operation;
use ringside_types::{ChannelId, SessionId, UserId};

use crate::ConnectionRef;

/// From a shard to the node. A request for a connection that is gone is answered to nobody.
#[derive(Debug)]
pub enum ToNode {
    /// A handshake whose token is good asks to be let in. Answered by `Admitted` or `Refused`.
    Admit { connection: ConnectionRef, user_id: UserId, session_id: SessionId },
    /// A command for the log. Answered in `Answers`.
    Submit(Submission),
    /// A receipt or a sign of typing. Only a refusal is answered, by `SignalRefused`.
    Signal(SignalRequest),
    /// What a connection says of being there, or whom it watches. Refused by `SignalRefused`.
    Presence(PresenceRequest),
    /// Parts of what a connection missed. Each channel is answered by `Pages` or `PageRefused`.
    Read(ReadRequest),
    /// A connection that had been admitted, or asked to be, is gone.
    Closed { connection: ConnectionRef },
}

/// A message, or a change of one, on its way to the log.
#[derive(Debug)]
pub struct Submission {
    pub connection: ConnectionRef,
    /// The frame's `id`, to be echoed.
    pub frame_id: Option<Box<str>>,
    pub user_id: UserId,
    /// The channel, for partition and limit.
    pub channel_id: ChannelId,
    /// An encoded `Command` record. The node looks into it only where it may mention somebody.
    pub record: Bytes,
    /// Whether the shard knows that the user is a member; otherwise the node asks.
    pub known_member: bool,
    /// As far as the shard can tell: [`Operation::Send`] for any new message, and changes of messages as if they were
    /// the sender's own.
    pub operation: Operation,
    /// When the shard took it, for its answer.
    pub taken_at: Instant,
    /// Whether its text may name members, whom the node then looks up.
    pub may_mention: bool,
}

/// Parts of several channels for one connection.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ReadRequest {
    pub connection: ConnectionRef,
    pub user_id: UserId,
    /// The parts, in the order in which the connection wants them.
    pub channels: Vec<ChannelRead>,
    /// How many of them may bring messages or changes; the others are [`Deferred`](ringside_domain::page::ReadOutcome).
    pub pages_max: usize,
}

/// What a user says of a channel, outside its chain.
#[derive(Debug, Clone)]
pub struct SignalRequest {
    pub connection: ConnectionRef,
    /// The frame's `id`, for a refusal.
    pub frame_id: Option<Box<str>>,
    pub user_id: UserId,
    pub channel_id: ChannelId,
    pub kind: SignalKind,
    /// Whether the shard knows that the user is a member; otherwise the node asks the Directory.
    pub known_member: bool,
}

/// What a connection says of being there, or whom it watches.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct PresenceRequest {
    pub connection: ConnectionRef,
    /// The frame's `id`, for a refusal.
    pub frame_id: Option<Box<str>>,
    pub user_id: UserId,
    pub change: PresenceChange,
}
