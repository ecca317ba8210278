//! What an operator may set of a node, and the limits that the design fixes.

use std::time::Duration;

use ringside_types::{Limits, Slot};

/// Batches of requests from the shards that wait for the node at the most.
pub const REQUEST_BATCHES_MAX: usize = 1_024;
/// Messages on their way to the log at the most; beyond it they are answered `unavailable`.
pub const OUTBOUND_MAX: usize = 65_536;
/// Messages in one append at the most.
pub const OUTBOUND_BATCH_MAX: usize = 4_096;
/// Calls that read pages under way at once: sync is admitted by budget, so that a lost edge's users don't flood the store.
pub const READ_CALLS_MAX: usize = 4;
/// Pages that one such call may bring.
pub const READ_PAGES_MAX: usize = 32;
/// Channels that one such call looks at.
pub const READ_CHANNELS_MAX: usize = 1_024;
/// Calls that read gaps under way at once.
pub const GAP_CALLS_MAX: usize = 4;
/// Gaps in one such call.
pub const GAPS_BATCH_MAX: usize = 16;
/// Reads that wait for their turn or for a channel's join at the most; beyond it they are refused.
pub const READS_WAITING_MAX: usize = 65_536;
/// Senders, each in one channel, whom the backend is asked about at once; messages of others are refused.
pub const SENDERS_CHECKED_MAX: usize = 1_024;
/// Admissions under way at once.
pub const ADMISSIONS_MAX: usize = 64;
/// Of those, how many one call asks about.
pub const ADMISSIONS_BATCH_MAX: usize = 8;
/// Admissions that wait at the most; beyond it handshakes get 503.
pub const ADMISSIONS_WAITING_MAX: usize = 16_384;
/// Users whose connections are asked at once whether they live; beyond it, who has too many is refused at once.
pub const PROBED_USERS_MAX: usize = 1_024;
/// Handshakes of one user that wait for it.
pub const PROBES_OF_USER_MAX: usize = 4;
/// (User, channel) pairs whose receipts are paced at once; beyond it a receipt is refused.
pub const RECEIPTS_MAX: usize = 65_536;
/// Messages whose place in their channel the edge remembers, so that receipts of them ask nobody.
pub const RECENT_MESSAGES_MAX: usize = 65_536;
/// Receipts and signs of typing that wait to be looked up at the most; beyond it they are refused.
pub const LOOKUPS_WAITING_MAX: usize = 16_384;
/// Of those, how many one read takes.
pub const LOOKUPS_BATCH_MAX: usize = 1_024;
/// Users of this edge who type at once, each in one channel; beyond it nobody is told.
pub const TYPISTS_MAX: usize = 65_536;
/// Users who are said to type in one channel at once.
pub const TYPISTS_OF_CHANNEL_MAX: usize = 32;
/// Receipts and signs of typing that wait for the log at the most; beyond it they are refused.
pub const SIGNALS_WAITING_MAX: usize = 65_536;
/// Receipts and signs of typing in one append.
pub const SIGNALS_BATCH_MAX: usize = 4_096;

/// Connections whose subscriptions wait to be looked up at the most, and ends of status messages that are awaited; beyond it a
/// subscription is refused, and a message that is over is found by the next look.
pub const PRESENCE_CHANGES_MAX: usize = 65_536;
/// Connections and leases that ended in one call to the backend.
pub const PRESENCE_BATCH_MAX: usize = 1_024;
/// Users who changed in one look.
pub const LOOKS_BATCH_MAX: usize = 256;
/// Users whom connections begin to watch in one look.
pub const LOOK_USERS_MAX: usize = 2_048;
/// Of those, how many one connection has in its turn.
pub const LOOK_USERS_OF_CONNECTION_MAX: usize = 500;
/// Statuses that are being set at once, one a connection: fewer than the backend has connections, so that others find
/// one. Of each connection one more may wait; a newer one takes its place.
pub const STATUSES_UNDER_WAY_MAX: usize = 4;

/// Deliveries held back for a shard whose mailbox is full, before the node stops reading the log for all.
pub const BACKLOG_MAX: usize = 4_096;
/// How long full mailboxes wait before they are tried again.
pub(crate) const BACKLOG_PAUSE: Duration = Duration::from_millis(2);
/// Events in one delivery at the most.
pub const EVENTS_BATCH_MAX: usize = 1_024;

const _: () = assert!(OUTBOUND_BATCH_MAX <= OUTBOUND_MAX && READ_CHANNELS_MAX <= READS_WAITING_MAX);
const _: () = assert!(LOOKUPS_BATCH_MAX <= LOOKUPS_WAITING_MAX);
const _: () = assert!(LOOK_USERS_OF_CONNECTION_MAX <= LOOK_USERS_MAX);
const _: () = assert!(ADMISSIONS_BATCH_MAX <= ADMISSIONS_MAX && ADMISSIONS_MAX <= ADMISSIONS_WAITING_MAX);

#[derive(Clone, Debug)]
pub struct Config {
    /// The slot that this edge claims.
    pub slot: Slot,
    pub limits: Limits,
    /// How many shards there are.
    pub shards: u16,
}
