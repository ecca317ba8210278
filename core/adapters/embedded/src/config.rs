//! What an operator may set of the embedded engines; everything has a default.

use std::time::Duration;

use ringside_types::Topic;
use ringside_types::limits::{IDEMPOTENCY_ROW_MS, PARTITION_LAG_MAX_MS, PARTITIONS_MAX};

use crate::clock::Clock;

/// The least time that the log keeps records: a processor may lag that long, and edges read back.
pub const LOG_RETENTION_MIN: Duration = Duration::from_millis(IDEMPOTENCY_ROW_MS);

const _: () = assert!(PARTITION_LAG_MAX_MS < IDEMPOTENCY_ROW_MS, "what a processor may still need is kept");

/// How many partitions each topic has. Fixed when a data folder is made: later settings don't change it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Partitions {
    /// Of `messages.send`, `messages.stored`, `messages.dead` and `messages.status`.
    pub messages: u16,
    /// Of `messages.receive`: the slots of edges.
    pub slots: u16,
}

impl Default for Partitions {
    fn default() -> Self {
        Self { messages: 4, slots: 4 }
    }
}

/// Where the records of a topic are kept.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Keeping {
    /// In segment files: durable before they are confirmed.
    Segments,
    /// In the store: they are written by commits, in one batch with the rows that they tell of.
    Store,
    /// In memory: only edges of this process read them, which end with it.
    Memory,
}

/// Where the records of this topic are kept.
pub(crate) const fn keeping(topic: Topic) -> Keeping {
    match topic {
        Topic::MessagesSend | Topic::MessagesStatus | Topic::Control => Keeping::Segments,
        Topic::MessagesStored | Topic::MessagesDead => Keeping::Store,
        Topic::MessagesReceive | Topic::Presence => Keeping::Memory,
    }
}

impl Partitions {
    /// How many a topic has.
    pub const fn of(self, topic: Topic) -> u16 {
        match topic {
            Topic::MessagesSend | Topic::MessagesStored | Topic::MessagesDead | Topic::MessagesStatus => {
                self.messages
            }
            Topic::MessagesReceive => self.slots,
            Topic::Control | Topic::Presence => 1,
        }
    }

    /// Whether there is at least one of each, and none too many.
    pub(crate) const fn are_valid(self) -> bool {
        self.messages > 0 && self.messages <= PARTITIONS_MAX && self.slots > 0 && self.slots <= PARTITIONS_MAX
    }
}

/// The embedded engines' settings.
#[derive(Clone, Debug)]
pub struct Config {
    /// Partitions, for a folder that is new.
    pub partitions: Partitions,
    /// How long the log keeps its records; at least [`LOG_RETENTION_MIN`] counts.
    pub log_retention: Duration,
    /// How often what is past its time is removed.
    pub sweep_interval: Duration,
    /// The segments of the log.
    pub segments: ringside_segments::Config,
    /// Bytes of payload that each partition keeps in memory for readers near its end.
    pub tail_bytes: usize,
    /// Bytes of the block cache.
    pub cache_bytes: u64,
    /// Below this many free bytes nothing is written: the store needs room to compact, and a full disk would stop it.
    pub free_bytes_min: u64,
    pub clock: Clock,
}

impl Default for Config {
    fn default() -> Self {
        Self {
            partitions: Partitions::default(),
            log_retention: Duration::from_secs(7 * 24 * 60 * 60),
            sweep_interval: Duration::from_secs(60),
            segments: ringside_segments::Config::default(),
            tail_bytes: 8 * 1024 * 1024,
            cache_bytes: 128 * 1024 * 1024,
            free_bytes_min: 256 * 1024 * 1024,
            clock: Clock::System,
        }
    }
}
