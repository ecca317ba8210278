//! The streams of the log: a partition of a topic each.

use std::collections::BTreeMap;
use std::fmt;

use ringside_types::{Offset, PartitionId, Topic, UnixMillis};

/// A stream: its records have dense offsets, and times that never fall.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Stream {
    /// The topic.
    pub topic: Topic,
    /// Its partition.
    pub partition: PartitionId,
}

impl fmt::Display for Stream {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}, partition {}", self.topic.name(), self.partition)
    }
}

/// Where a stream ends.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct End {
    /// The offset of the next record.
    pub next: Offset,
    /// The time of the last one; zero where there was none.
    pub time: UnixMillis,
}

impl Default for End {
    fn default() -> Self {
        Self { next: Offset(0), time: UnixMillis(0) }
    }
}

/// The ends of the streams that have records.
pub(crate) type Ends = BTreeMap<Stream, End>;

pub(crate) fn topic(number: u8) -> Option<Topic> {
    Topic::ALL.into_iter().find(|topic| *topic as u8 == number)
}
