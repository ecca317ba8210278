//! What an edge's shards and its node say to one another. Every mailbox is bounded and first in, first out.
//!
//! ```text
//! shard -- ToNode --> node -- Append --> log
//! shard <-- ToShard -- node <-- Record -- log, backend
//! ```

mod connection;
mod to_node;
mod to_shard;

pub use connection::{ConnectionRef, ShardId};
pub use ringside_domain::attention::Attention;
pub use ringside_session::delivery::{AdmitRefusal, Outcome, Subscription};
pub use ringside_session::output::{PresenceChange, SignalKind};
pub use to_node::{PresenceRequest, ReadRequest, SignalRequest, Submission, ToNode};
pub use to_shard::{Answer, ChannelEvent, PresenceSeen, Signal, ToShard};
