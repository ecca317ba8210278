//! How shards and connections of an edge are named.

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
