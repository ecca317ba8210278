//! What an edge's shards and its node say to one another.
//!
//! A shard sends [`ToNode`] in batches; the node sends [`ToShard`]. Both mailboxes are bounded and first in, first out.

mod messages;

pub use messages::*;
