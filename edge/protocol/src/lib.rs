//! What an edge's shards and its node say to one another. Every mailbox is bounded and first in, first out.
//!
//! ```text
//! shard -- ToNode --> node -- Append --> log
//! shard <-- ToShard -- node <-- Record -- log, backend
//! ```

mod to_node;
mod to_shard;

pub use to_node::{PresenceRequest, PresenceWish, ReadRequest, Said, SignalRequest, Submission, ToNode};
pub use to_shard::{
    AdmitRefusal, Answer, Attention, ChannelEvent, Outcome, PresenceSeen, Signal, Subscription, ToShard,
};

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
