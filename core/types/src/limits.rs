//! Limits: those that an operator sets (`[limits]`), and those that the design fixes.

use serde::{Deserialize, Serialize};

/// Partitions of `messages.send` at the most: what the partition bits of an id can tell apart.
pub const PARTITIONS_MAX: u16 = 1024;
/// Members of a channel when it is made, the creator included.
pub const CHANNEL_CREATE_MEMBERS_MAX: usize = 1_000;
/// Bytes of a channel's name.
pub const CHANNEL_NAME_BYTES_MAX: usize = 200;
/// Bytes of a channel's description.
pub const CHANNEL_DESCRIPTION_BYTES_MAX: usize = 4_000;
/// Bytes of a channel's topic.
pub const CHANNEL_TOPIC_BYTES_MAX: usize = 1_000;
/// Seconds between two messages of a member that slow mode asks for at the most.
pub const SLOW_MODE_S_MAX: u32 = 6 * 60 * 60;
/// Bytes of a reaction's emoji: the longest sequences of today have 35.
pub const EMOJI_BYTES_MAX: usize = 64;
/// Receipts reach the other members of channels up to this size; of larger ones, only one's own devices.
pub const RECEIPTS_MEMBERS_MAX: usize = 64;
/// A sign of typing lives this long, in milliseconds.
pub const TYPING_LIFE_MS: u64 = 6_000;
/// Users named in one `presence.subscribe` or `presence.unsubscribe`.
pub const PRESENCE_USERS_MAX: usize = 500;
/// Users whom one connection watches at the most.
pub const WATCHED_USERS_MAX: usize = 2_000;
/// Characters of a status message.
pub const STATUS_MESSAGE_CHARS_MAX: usize = 140;
/// Users whom one message mentions at the most; whom it names beyond that, it does not mention.
pub const MENTIONS_MAX: usize = 50;
/// Different emoji on one message at the most.
pub const MESSAGE_EMOJI_MAX: usize = 50;
/// Users named in `reaction.updated`.
pub const REACTION_USERS_SHOWN: usize = 20;
/// Reactions read for one page of messages, those taken back included; beyond them a page counts what it has read.
pub const REACTIONS_READ_MAX: usize = 20_000;
/// How deep a JSON frame may nest.
pub const JSON_DEPTH_MAX: usize = 32;
/// Channels in one `sync` frame.
pub const SYNC_CHANNELS_MAX: usize = 1_000;
/// Messages a `sync.page` holds when the client does not say.
pub const SYNC_PAGE_DEFAULT: usize = 100;
/// Messages a `sync.page` holds at the most.
pub const SYNC_PAGE_MAX: usize = 200;
/// Pinned messages of a channel at the most; requests at the same moment may pass it by their number.
pub const PINS_MAX: usize = 100;
/// Items of a REST list at the most.
pub const LIST_MAX: usize = 100;
/// Items of a REST list when the client does not say.
pub const LIST_DEFAULT: usize = 50;
/// A retry within this time of the first record is a duplicate, in milliseconds.
pub const IDEMPOTENCY_WINDOW_MS: u64 = 24 * 60 * 60 * 1_000;
/// Idempotency rows live this long, in milliseconds.
pub const IDEMPOTENCY_ROW_MS: u64 = 72 * 60 * 60 * 1_000;
/// A partition that lags more than this stops and alarms, in milliseconds.
pub const PARTITION_LAG_MAX_MS: u64 = 48 * 60 * 60 * 1_000;
/// An access token's life, in seconds.
pub const ACCESS_TOKEN_LIFE_S: u64 = 15 * 60;
/// No access token lives longer, in seconds: those of a seeded folder live so long. A key that signs no more verifies
/// for this long, and a little.
pub const ACCESS_TOKEN_LIFE_MAX_S: u64 = 24 * 60 * 60;
/// A refresh token's life, in seconds.
pub const REFRESH_TOKEN_LIFE_S: u64 = 7 * 24 * 60 * 60;
/// What is good once and comes again within this time is a retry: a spent refresh token, as long as its successor is unused,
/// and a registration with its invitation.
pub const RETRY_WITHIN_MS: u64 = 30_000;

const _: () = assert!(IDEMPOTENCY_WINDOW_MS + PARTITION_LAG_MAX_MS <= IDEMPOTENCY_ROW_MS);
// A key's row knows the last two that it made: no replay is as long as the three that would be needed to lose one.
const _: () = assert!(PARTITION_LAG_MAX_MS <= 2 * IDEMPOTENCY_WINDOW_MS);
const _: () = assert!(SYNC_PAGE_DEFAULT <= SYNC_PAGE_MAX && LIST_DEFAULT <= LIST_MAX);

/// Bytes of one client message where the operator sets no limit.
pub const MESSAGE_BYTES_CEILING: u32 = 16 * 1024 * 1024;

/// What an operator may set under `[limits]`; 0 switches a limit off.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize, Serialize)]
#[serde(default, deny_unknown_fields)]
pub struct Limits {
    /// Messages a second of one user, in the long run.
    pub messages_per_second: u32,
    /// Messages that a user may send at once after a pause.
    pub messages_burst: u32,
    /// Messages a minute in one channel.
    pub channel_messages_per_minute: u32,
    /// What frames and handshakes of one user may cost, in units a second: a frame costs 10 and one for each KiB; a
    /// receipt or a sign of typing 10 more, a status 90, a fresh token 190, each channel of a `sync` 4, each user of
    /// a subscription 1; a handshake 200.
    pub frame_units_per_second: u32,
    /// Units that a user may spend at once after a pause.
    pub frame_units_burst: u32,
    /// Channels a minute that one user makes with others in them, and requests that add others to one; each fifty of
    /// these count as one more.
    pub channels_per_minute: u32,
    /// Simultaneous connections of one user.
    pub connections_per_user: u32,
    /// REST requests a minute of one user.
    pub rest_per_minute: u32,
    /// Registrations a minute from one address.
    pub register_per_minute_per_address: u32,
    /// Registrations that one address may make at once after a pause.
    pub register_burst: u32,
    /// Sign-ins, renewals and sign-outs a minute from one address.
    pub sign_ins_per_minute_per_address: u32,
    /// Failed logins a minute of one account.
    pub login_failures_per_minute: u32,
    /// Bytes of one client message.
    pub message_bytes: u32,
    /// A sync gap above this many messages is answered with `reset`.
    pub sync_messages: u32,
}

impl Limits {
    /// Bytes of one client message at the most, also where the limit is off.
    pub fn message_bytes_max(&self) -> u32 {
        if self.message_bytes == 0 { MESSAGE_BYTES_CEILING } else { self.message_bytes }
    }
}

impl Default for Limits {
    fn default() -> Self {
        Self {
            messages_per_second: 10,
            messages_burst: 20,
            channel_messages_per_minute: 1_000,
            frame_units_per_second: 2_000,
            frame_units_burst: 40_000,
            channels_per_minute: 30,
            connections_per_user: 5,
            rest_per_minute: 100,
            register_per_minute_per_address: 60,
            register_burst: 30,
            sign_ins_per_minute_per_address: 600,
            login_failures_per_minute: 10,
            message_bytes: 65_536,
            sync_messages: 10_000,
        }
    }
}
