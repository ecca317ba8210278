//! What the node tells about one connection.

use std::sync::Arc;
use std::time::Duration;

use ringside_domain::page::{ChannelRead, ReadOutcome};
use ringside_types::{ChannelId, ErrorCode, MessageId, SessionId};
use ringside_wire::records::Profile;
use ringside_wire::signals::PresenceUpdated;

use crate::budget::Budget;

/// An input of [`Session::handle_delivery`](crate::session::Session::handle_delivery).
#[derive(Debug)]
pub enum Delivery<'a> {
    /// The handshake may be answered with 101, then `hello`.
    Admitted {
        /// The user as others see them.
        profile: Arc<Profile>,
        /// What the user's frames are charged to, on all of their connections.
        budget: Arc<Budget>,
        /// The channels that the user is in; they come back with [`Output::Opened`](crate::output::Output::Opened).
        channels: Vec<Subscription>,
    },
    /// The handshake is refused.
    Refused(AdmitRefusal),
    /// The answer to a command.
    Answer {
        /// The frame's `id`.
        frame_id: Option<&'a str>,
        /// Whether the log has it.
        outcome: &'a Outcome,
    },
    /// Parts of channels that were asked for, each with the request for it.
    Pages(&'a [(ChannelRead, ReadOutcome)]),
    /// A part of a channel can't be had.
    PageRefused {
        channel_id: ChannelId,
        /// `not_a_member` or `unavailable`.
        code: ErrorCode,
    },
    /// A receipt, a sign of typing or a change of presence was refused.
    SignalRefused {
        /// The frame's `id`.
        frame_id: Option<&'a str>,
        code: ErrorCode,
        /// A sentence that a person understands.
        message: &'static str,
    },
    /// The presence of a user whom the connection watches.
    Presence(PresenceUpdated<'a>),
    /// The user became a member of a channel, which the index knows already.
    Joined {
        channel_id: ChannelId,
        /// The user is a member for records above this one.
        from_id: MessageId,
        /// The channel's changes then.
        change: u64,
        /// Whether the shard has seen nothing above `from_id` yet: then all of it comes as events.
        comes_live: bool,
    },
    /// The user is a member of a channel no longer; the index has forgotten the membership.
    Left { channel_id: ChannelId },
    /// The client is asked whether it lives.
    Probe,
    /// The user's session, or with `None` all of their sessions, ended.
    SessionEnded(Option<SessionId>),
    /// The edge stops, and the client goes when it is its turn.
    Drain { after: Duration },
    /// The edge lost its slot, or may have: nothing learned in its name may be said any more.
    Fenced,
}

/// A channel that a connection's user is in.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Subscription {
    pub channel_id: ChannelId,
    /// The id of the last record that the edge has handed on; `None`: its join is not answered yet, and
    /// `Live` will say where it begins.
    pub last: Option<MessageId>,
    /// Messages up to this record are hidden from the user.
    pub sees_above: MessageId,
    /// Records up to this one wait for a gap, and are handed on late: not to this connection, which may have seen more
    /// elsewhere. Zero: none wait.
    pub waiting: MessageId,
}

/// Why a connection is not let in.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum AdmitRefusal {
    /// 429: the user has as many connections as the limit allows.
    TooManyConnections,
    /// 429: the user's handshakes and frames have used up their budget.
    RateLimited {
        /// When there will be enough, in milliseconds.
        retry_after_ms: u64,
    },
    /// 401: the token's session has ended.
    SessionEnded,
    /// 503: an engine did not confirm.
    Unavailable,
}

/// What became of a command.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Outcome {
    /// The log has it durably.
    Acknowledged,
    Refused {
        code: ErrorCode,
        /// A sentence that a person understands.
        message: &'static str,
        /// When to try again.
        retry_after_ms: Option<u64>,
    },
}
