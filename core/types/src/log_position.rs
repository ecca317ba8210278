//! Places in the log: topics, partitions, offsets; and the edges that listen to it: slots, epochs.

use std::fmt;

use serde::{Deserialize, Serialize};

use crate::ChannelId;

/// A topic of the log.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug)]
#[repr(u8)]
pub enum Topic {
    /// Commands, partitioned by channel.
    MessagesSend = 1,
    /// Events for edges: one partition per edge slot.
    MessagesReceive = 2,
    /// What search, push and moderation read, partitioned as [`Topic::MessagesSend`].
    MessagesStored = 3,
    /// Slot claims, ticks, revocations, membership changes: one partition, read whole by every edge.
    Control = 4,
    /// Records that can never be processed, with the reason; partitioned as [`Topic::MessagesSend`].
    MessagesDead = 5,
    /// Receipts and typing, outside the chain; partitioned as [`Topic::MessagesSend`].
    MessagesStatus = 6,
    /// Users whose presence changed: one partition, read whole by every edge. Apart from [`Topic::Control`], so that a
    /// storm of connections never stands before the ticks that hold an edge's slot.
    Presence = 7,
}

impl Topic {
    /// Every topic.
    pub const ALL: [Self; 7] = [
        Self::MessagesSend,
        Self::MessagesReceive,
        Self::MessagesStored,
        Self::Control,
        Self::MessagesDead,
        Self::MessagesStatus,
        Self::Presence,
    ];

    /// The topic's name in the log.
    pub const fn name(self) -> &'static str {
        match self {
            Self::MessagesSend => "messages.send",
            Self::MessagesReceive => "messages.receive",
            Self::MessagesStored => "messages.stored",
            Self::Control => "control",
            Self::MessagesDead => "messages.dead",
            Self::MessagesStatus => "messages.status",
            Self::Presence => "presence",
        }
    }
}

/// A partition of a topic, counted from 0.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug, Default, Serialize, Deserialize)]
#[serde(transparent)]
pub struct PartitionId(pub u16);

/// A record's position in its partition, counted from 0.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug, Default, Serialize, Deserialize)]
#[serde(transparent)]
pub struct Offset(pub u64);

impl Offset {
    /// The position after this one.
    pub const fn next(self) -> Self {
        Self(self.0 + 1)
    }
}

/// The lease of an edge: its partition of `messages.receive`.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug, Default, Serialize, Deserialize)]
#[serde(transparent)]
pub struct Slot(pub u16);

impl Slot {
    /// The slot's partition of `messages.receive`.
    pub const fn partition(self) -> PartitionId {
        PartitionId(self.0)
    }
}

/// One lease of a slot: the offset of its claim in `control`. A later claim has a greater epoch.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug, Default, Serialize, Deserialize)]
#[serde(transparent)]
pub struct Epoch(pub u64);

macro_rules! display_inner {
    ($($name:ident),*) => {$(
        impl fmt::Display for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                self.0.fmt(f)
            }
        }
    )*};
}
display_inner!(PartitionId, Offset, Slot, Epoch);

/// The partition of `messages.send` that a channel's records live in.
///
/// The finaliser of SplitMix64 over both halves of the id: fixed for ever, for a channel that moved
/// would lose its order. Source: Steele, Lea, Flood, "Fast Splittable Pseudorandom Number Generators", 2014.
///
/// # Panics
/// When `partitions` is zero.
pub fn partition_of(channel: ChannelId, partitions: u16) -> PartitionId {
    assert!(partitions > 0, "a topic has at least one partition");
    let (high, low) = channel.0.as_u64_pair();
    PartitionId((mixed(high ^ mixed(low)) % u64::from(partitions)) as u16)
}

fn mixed(mut value: u64) -> u64 {
    value = value.wrapping_add(0x9e37_79b9_7f4a_7c15);
    value = (value ^ (value >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
    value = (value ^ (value >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
    value ^ (value >> 31)
}

#[cfg(test)]
mod tests {
    use super::*;
    use uuid::Uuid;

    #[test]
    fn channels_never_move() {
        let channel = ChannelId(Uuid::from_u128(0x0190_7c5e_7b3a_7000_8000_0000_0000_0001));
        assert_eq!(partition_of(channel, 1024), PartitionId(partition_of(channel, 1024).0));
        let known: Vec<u16> = (0..6).map(|n| partition_of(ChannelId(Uuid::from_u128(n)), 16).0).collect();
        assert_eq!(known, KNOWN, "a changed hash would move every channel of every data folder");
    }

    const KNOWN: [u16; 6] = [15, 14, 4, 7, 11, 5];
}
