//! What the node tells a shard.

use std::sync::Arc;
use std::time::Instant;

use ringside_domain::attention::Attention;
use ringside_domain::page::{ChannelRead, ReadOutcome};
use ringside_session::budget::Budget;
use ringside_session::delivery::{AdmitRefusal, Outcome, Subscription};
use ringside_session::token::Verifier;
use ringside_types::{BootTime, ChannelId, Epoch, ErrorCode, MessageId, SessionId, Slot, UnixMillis, UserId};
use ringside_wire::records;

/// A user's presence, as one connection's user sees it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct PresenceSeen {
    pub token: u64,
    pub user_id: UserId,
    pub status: &'static str,
    /// What the user says of themselves; empty: nothing.
    pub status_message: String,
    /// When they were last there.
    pub last_seen_at: Option<UnixMillis>,
}

/// The answer to one `ToNode::Submit`.
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
        channel_id: ChannelId,
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
        channel_id: ChannelId,
        user_id: UserId,
        /// All who type now.
        users: Vec<UserId>,
    },
}

/// An effective record of a channel, in the chain's order.
#[derive(Debug)]
pub struct ChannelEvent {
    pub channel_id: ChannelId,
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
    Refused { token: u64, reason: AdmitRefusal },
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
        user_id: UserId,
        /// What they want to be told of.
        attention: Option<Arc<Attention>>,
    },
    /// A receipt, a sign of typing or a change of presence was refused.
    SignalRefused {
        token: u64,
        /// The frame's `id`.
        frame_id: Option<Box<str>>,
        code: ErrorCode,
        /// A sentence that a person understands.
        message: &'static str,
    },
    /// A channel's join was answered: its records follow, from above `last`.
    Live { channel_id: ChannelId, last: MessageId },
    /// Parts that a connection asked for, each with what was asked: one that it no longer waits for is dropped.
    Pages {
        token: u64,
        /// As in `Events`.
        valid_until: BootTime,
        pages: Vec<(ChannelRead, ReadOutcome)>,
    },
    /// A part can't be had.
    PageRefused {
        token: u64,
        channel_id: ChannelId,
        /// `not_a_member` or `unavailable`.
        code: ErrorCode,
    },
    /// A message of this user was acknowledged, then refused by the pipeline.
    Rejected { user_id: UserId, rejection: records::Rejection },
    /// A user with connections here became a member, or (as `channel.created`) is in a new channel.
    MemberAdded {
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
    MemberRemoved { user_id: UserId, channel_id: ChannelId },
    /// What ended the memberships of users with connections here, as they are told.
    Departed {
        users: Vec<UserId>,
        channel_id: ChannelId,
        /// The change's number in the channel.
        change: u64,
        /// The change; its kind says which frame it becomes.
        membership: Arc<records::Membership>,
    },
    /// A session ended (`None`: all of the user's): its sockets close `4009`.
    SessionEnded { user_id: UserId, session_id: Option<SessionId> },
    /// All connections close with `goodbye` draining and `4212`, spread over the window; new ones get `503`.
    Drain {
        /// The window, in milliseconds.
        window_ms: u64,
    },
    /// The edge holds this slot in this lease: the origin of every record from now on. Comes before the first
    /// `Admitted`.
    Seated { slot: Slot, epoch: Epoch },
    /// The edge lost its slot: all connections close with `4212` now, and new ones are welcome again after.
    Fenced,
    /// The time of day, for what frames say; sent once a second at least.
    WallClock(UnixMillis),
}
