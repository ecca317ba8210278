//! What shards and the node tell one another. Every mailbox is bounded and first in, first out.
//!
//! ```text
//! shard -- ToNode --> node -- Append --> log
//! shard <-- ToShard -- node <-- Record -- log, store
//! ```

use std::sync::Arc;
use std::time::Instant;

use bytes::Bytes;
use ringside_domain::rows::{ChangeRow, HeadRow, MessageRow};
use ringside_domain::tally::Tally;
use ringside_types::authorization::Operation;
use ringside_types::{BootTime, ChannelId, Epoch, ErrorCode, MessageId, SessionId, Slot, UnixMillis, UserId};
use ringside_wire::records;
use ringside_wire::signals::PresenceStatus;

use ringside_session::budget::Budget;
use ringside_session::token::Verifier;

/// A shard of this edge, counted from 0.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug)]
pub struct ShardId(pub u16);

/// A connection of this edge: the shard and the shard's own token of it, never used again.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug)]
pub struct ConnectionRef {
    /// The shard.
    pub shard: ShardId,
    /// The reactor's connection id, as a number.
    pub token: u64,
}

/// From a shard to the node. A request for a connection that is gone is answered to nobody.
#[derive(Debug)]
pub enum ToNode {
    /// A handshake whose token is good asks to be let in. Answered by `Admitted` or `Refused`.
    Admit {
        /// The connection.
        connection: ConnectionRef,
        /// Whose.
        user_id: UserId,
        /// The token's session.
        session_id: SessionId,
    },
    /// A message for the log. Answered in `Answers`.
    Send {
        /// The connection.
        connection: ConnectionRef,
        /// The frame's `id`, to be echoed.
        frame_id: Option<Box<str>>,
        /// The sender, for the limit.
        user_id: UserId,
        /// The channel, for partition and limit.
        channel_id: ChannelId,
        /// An encoded `Command` record. (The node looks into it only where it may mention somebody.)
        record: Bytes,
        /// Whether the shard knows that the user is a member; otherwise the node asks the Directory.
        known_member: bool,
        /// What is asked for, as far as the shard can tell: [`Operation::Send`] for any new message, and of messages that
        /// are there as if they were the sender's own.
        operation: Operation,
        /// When the shard took it, for its answer.
        taken_at: Instant,
        /// Whether its text may name members, whom the node then looks up.
        may_mention: bool,
    },
    /// A receipt or a sign of typing. Nothing answers a good one; `SignalRefused` a bad one.
    Signal(SignalRequest),
    /// What a connection says of being there, or whom it watches. Refused by `SignalRefused`.
    Presence(PresenceRequest),
    /// A part of what a connection missed. Answered by `Page` or `PageRefused`.
    Read(ReadRequest),
    /// A connection that had been admitted, or asked to be, is gone.
    Closed {
        /// The connection.
        connection: ConnectionRef,
    },
}

/// What a user says of a channel, outside its chain.
#[derive(Debug, Clone)]
pub struct SignalRequest {
    /// The connection.
    pub connection: ConnectionRef,
    /// The frame's `id`, for a refusal.
    pub frame_id: Option<Box<str>>,
    /// Who.
    pub user_id: UserId,
    /// Where.
    pub channel_id: ChannelId,
    /// What.
    pub said: Said,
    /// Whether the shard knows that the user is a member; otherwise the node asks the Directory.
    pub known_member: bool,
}

/// A receipt, or a sign of typing.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Said {
    /// Everything up to this message came to a device of the user's.
    Delivered(MessageId),
    /// The user has read everything up to this message.
    Read(MessageId),
    /// The user types.
    Typing,
    /// Not any more.
    StoppedTyping,
}

/// What a connection says of being there, or whom it watches.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct PresenceRequest {
    /// The connection.
    pub connection: ConnectionRef,
    /// The frame's `id`, for a refusal.
    pub frame_id: Option<Box<str>>,
    /// Whose connection.
    pub user_id: UserId,
    /// What.
    pub wish: PresenceWish,
}

/// What is wished of presence.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum PresenceWish {
    /// The connection says this from now on, and its user perhaps something else of themselves.
    Set {
        /// Of this connection.
        status: PresenceStatus,
        /// Of the user; `None`: as before.
        status_message: Option<String>,
    },
    /// Be told of these users.
    Watch(Vec<UserId>),
    /// Be told of these no more.
    Unwatch(Vec<UserId>),
}

/// A user's presence, as one connection's user sees it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct PresenceSeen {
    /// The connection's token.
    pub token: u64,
    /// The user.
    pub user_id: UserId,
    /// The status's name.
    pub status: &'static str,
    /// What the user says of themselves; empty: nothing.
    pub status_message: String,
    /// When they were last there.
    pub last_seen_at: Option<UnixMillis>,
}

/// Which part of a channel a connection needs.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct ReadRequest {
    /// The connection.
    pub connection: ConnectionRef,
    /// The reader.
    pub user_id: UserId,
    /// The channel.
    pub channel_id: ChannelId,
    /// Messages above this id.
    pub after: MessageId,
    /// Changes above this number; `None`: none before the head.
    pub after_change: Option<u64>,
    /// At most so many messages.
    pub limit: usize,
    /// A gap above this many messages is answered with the newest page and `reset`; 0: never.
    pub reset_above: u32,
}

/// A part of a channel, read from the store: dense, and nothing above the head.
#[derive(Debug)]
pub struct Page {
    /// What was asked for: a page that the connection no longer waits for is dropped.
    pub request: ReadRequest,
    /// Oldest first.
    pub messages: Vec<MessageRow>,
    /// How reactions stand on them.
    pub tallies: Vec<Tally>,
    /// Who sent them, without repetition.
    pub senders: Vec<(UserId, records::Profile)>,
    /// Oldest first, with the last page only.
    pub changes: Vec<ChangeRow>,
    /// Messages up to this record are hidden from the reader, and so is what changes say of them.
    pub sees_above: MessageId,
    /// The messages that those changes edited, as they are.
    pub edited: Vec<MessageRow>,
    /// Whether more messages follow below the head.
    pub has_more: bool,
    /// Whether the gap was too large: this is the newest page alone.
    pub reset: bool,
    /// The head as it was read, before the page.
    pub head: HeadRow,
    /// Messages that the reader has not read.
    pub unread_count: u64,
}

/// A channel that a connection's user is in.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Subscription {
    /// The channel.
    pub channel_id: ChannelId,
    /// The id of the last record that the edge has handed on; `None`: its join is not answered yet, and
    /// `Live` will say where it begins.
    pub last: Option<MessageId>,
    /// Messages up to this record are hidden from the user.
    pub sees_above: MessageId,
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

/// What came of a command.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Outcome {
    /// The log has it durably.
    Acknowledged,
    /// It was refused.
    Refused {
        /// The stable code.
        code: ErrorCode,
        /// A sentence that a person understands.
        message: &'static str,
        /// When to try again.
        retry_after_ms: Option<u64>,
    },
}

/// The answer to one `ToNode::Send`.
#[derive(Debug)]
pub struct Answer {
    /// The connection's token on its shard.
    pub token: u64,
    /// The frame's `id`.
    pub frame_id: Option<Box<str>>,
    /// What came of it.
    pub outcome: Outcome,
    /// When the shard took what this answers.
    pub taken_at: Instant,
}

/// What members are told of a channel outside its chain.
#[derive(Debug, Clone)]
pub enum Signal {
    /// How far a member has come.
    Status {
        /// The channel.
        channel_id: ChannelId,
        /// Who.
        user_id: UserId,
        /// The last message delivered; [`MessageId::ZERO`]: none.
        last_delivered_id: MessageId,
        /// The last message read; [`MessageId::ZERO`]: none.
        last_read_id: MessageId,
        /// Only the user's own devices are told.
        own_devices_only: bool,
        /// Members who are not told.
        hidden_from: Vec<UserId>,
    },
    /// Somebody began to type, goes on, or stopped. Nobody is told of themselves.
    Typing {
        /// The channel.
        channel_id: ChannelId,
        /// Who.
        user_id: UserId,
        /// All who type now.
        users: Vec<UserId>,
    },
}

/// How a user who is away is notified.
#[derive(Debug, Default, PartialEq, Eq)]
pub struct Attention {
    /// Channels that they have muted, and until when.
    pub muted: Vec<(ChannelId, UnixMillis)>,
    /// Their DMs.
    pub direct: Vec<ChannelId>,
    /// Whom they have blocked: what these say notifies of nothing.
    pub blocked: Vec<UserId>,
}

/// An effective record of a channel, in the chain's order.
#[derive(Debug)]
pub struct ChannelEvent {
    /// The channel.
    pub channel_id: ChannelId,
    /// The record.
    pub effective: records::Effective,
}

/// From the node to a shard.
#[derive(Debug)]
pub enum ToShard {
    /// The keys that verify tokens from now on.
    Keys(Arc<Verifier>),
    /// The handshake may be answered with 101, then `hello`. From here on the shard gets the records of these
    /// channels.
    Admitted {
        /// The connection's token.
        token: u64,
        /// The user as others see them.
        profile: Arc<records::Profile>,
        /// What the user's frames are charged to, on whichever shards their connections are.
        budget: Arc<Budget>,
        /// The channels that the user is in.
        channels: Vec<Subscription>,
    },
    /// The user's connections are asked whether they live; who does not answer is gone.
    Probe(UserId),
    /// The handshake is refused.
    Refused {
        /// The connection's token.
        token: u64,
        /// Why.
        reason: AdmitRefusal,
    },
    /// What came of commands.
    Answers(Vec<Answer>),
    /// Records of channels. Each shard gets all events of a batch that any shard needs, and passes over the
    /// channels that it does not know.
    Events {
        /// After this instant the edge may have lost its slot: whoever reads this later closes all connections
        /// with 4212 instead.
        valid_until: BootTime,
        /// In order.
        events: Arc<[ChannelEvent]>,
    },
    /// What happens in channels outside their chains; every shard gets all of it.
    Signals {
        /// As in `Events`.
        valid_until: BootTime,
        /// In order.
        signals: Arc<[Signal]>,
    },
    /// What connections see of users whom they watch.
    Presence(Vec<PresenceSeen>),
    /// A user with connections here is away, and is to be notified so; `None`: is not away any more.
    Attention {
        /// The user.
        user_id: UserId,
        /// What they want to be told of.
        attention: Option<Arc<Attention>>,
    },
    /// A receipt, a sign of typing or a wish about presence was refused.
    SignalRefused {
        /// The connection's token.
        token: u64,
        /// The frame's `id`.
        frame_id: Option<Box<str>>,
        /// The stable code.
        code: ErrorCode,
        /// A sentence that a person understands.
        message: &'static str,
    },
    /// A channel's join was answered: its records follow, from above `last`.
    Live {
        /// The channel.
        channel_id: ChannelId,
        /// Where it begins.
        last: MessageId,
    },
    /// A part that a connection asked for.
    Page {
        /// As in `Events`.
        valid_until: BootTime,
        /// The part.
        page: Box<Page>,
    },
    /// A part can't be had.
    PageRefused {
        /// The connection's token.
        token: u64,
        /// The channel.
        channel_id: ChannelId,
        /// `not_a_member` or `unavailable`.
        code: ErrorCode,
    },
    /// A message of this user was acknowledged, then refused by the pipeline.
    Rejected {
        /// The sender.
        user_id: UserId,
        /// The refusal.
        rejection: records::Rejection,
    },
    /// A user with connections here became a member, or (as `channel.created`) is in a new channel.
    MemberAdded {
        /// The user.
        user_id: UserId,
        /// The channel, and where the edge stands in it.
        subscription: Subscription,
        /// The user is a member for records above this one.
        from_id: MessageId,
        /// The channel's changes then.
        change: u64,
        /// The change; its kind says which frame it becomes.
        membership: Arc<records::Membership>,
    },
    /// A user with connections here is a member no longer: not one more event of the channel goes to them.
    MemberRemoved {
        /// The user.
        user_id: UserId,
        /// The channel.
        channel_id: ChannelId,
    },
    /// What ended the memberships of users with connections here, as they are told.
    Departed {
        /// The users.
        users: Vec<UserId>,
        /// The channel.
        channel_id: ChannelId,
        /// The change's number in the channel.
        change: u64,
        /// The change; its kind says which frame it becomes.
        membership: Arc<records::Membership>,
    },
    /// A session ended (`None`: all of the user's): its sockets close `4009`.
    SessionEnded {
        /// The user.
        user_id: UserId,
        /// The session.
        session_id: Option<SessionId>,
    },
    /// All connections close with `goodbye` draining and `4212`, spread over the window; new ones get `503`.
    Drain {
        /// The window, in milliseconds.
        window_ms: u64,
    },
    /// The edge holds this slot in this tenure: the origin of every record from now on. Comes before the first
    /// `Admitted`.
    Seated {
        /// The slot.
        slot: Slot,
        /// The tenure.
        epoch: Epoch,
    },
    /// The edge lost its slot: all connections close with `4212` now, and new ones are welcome again after.
    Fenced,
    /// The time of day, for what frames say; sent once a second at least.
    WallClock(UnixMillis),
}
