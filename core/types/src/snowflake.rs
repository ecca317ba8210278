//! 64-bit Snowflake ids: 41 bits of milliseconds, 10 of partition, 12 of sequence.

use std::fmt;
use std::str::FromStr;

use serde::{Deserialize, Deserializer, Serialize, Serializer};

use crate::{PartitionId, UnixMillis};

/// The instant that ids count from: 2025-01-01T00:00:00Z, in milliseconds since the Unix epoch.
pub const RINGSIDE_EPOCH_MS: u64 = 1_735_689_600_000;

const SEQUENCE_BITS: u32 = 12;
const PARTITION_BITS: u32 = 10;
const TIME_BITS: u32 = 41;
const SEQUENCE_MAX: u64 = (1 << SEQUENCE_BITS) - 1;
const TIME_SHIFT: u32 = SEQUENCE_BITS + PARTITION_BITS;

const _: () = assert!(SEQUENCE_BITS + PARTITION_BITS + TIME_BITS == 63, "an id fits a signed 64-bit column");
const _: () = assert!(crate::limits::PARTITIONS_MAX as u64 == 1 << PARTITION_BITS);

/// The id of one record of a partition of `messages.send`, and of the message or change that it made.
///
/// Zero is "before everything". In JSON it is a decimal string, for JavaScript has no 64-bit integers.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Default)]
pub struct MessageId(pub u64);

impl MessageId {
    /// Before every record.
    pub const ZERO: Self = Self(0);
    /// After every record.
    pub const MAX: Self = Self(i64::MAX as u64);

    /// The first id of a partition in one millisecond. Times before the epoch count as the epoch.
    pub fn at(time: UnixMillis, partition: PartitionId) -> Self {
        let ms = time.0.saturating_sub(RINGSIDE_EPOCH_MS) & ((1 << TIME_BITS) - 1);
        Self(ms << TIME_SHIFT | u64::from(partition.0) << SEQUENCE_BITS)
    }

    /// The id of the record that follows the one with id `last` in `partition`, appended at `time`.
    ///
    /// It rises strictly whatever the clock does, and never leaves the partition's bits: a full
    /// sequence goes on in the following millisecond.
    pub fn following(last: Self, time: UnixMillis, partition: PartitionId) -> Self {
        if last == Self::ZERO {
            return Self::at(time, partition);
        }
        last.successor().max(Self::at(time, partition))
    }

    fn successor(self) -> Self {
        if self.0 & SEQUENCE_MAX < SEQUENCE_MAX {
            return Self(self.0 + 1);
        }
        let ms = (self.0 >> TIME_SHIFT) + 1;
        let partition = self.0 & (((1 << PARTITION_BITS) - 1) << SEQUENCE_BITS);
        Self(ms << TIME_SHIFT | partition)
    }

    /// When the record was appended, to the millisecond (later when a full sequence borrowed from the next).
    pub fn time(self) -> UnixMillis {
        UnixMillis((self.0 >> TIME_SHIFT) + RINGSIDE_EPOCH_MS)
    }

    /// The partition whose processor made the id.
    pub fn partition(self) -> PartitionId {
        PartitionId((self.0 >> SEQUENCE_BITS & ((1 << PARTITION_BITS) - 1)) as u16)
    }

    /// `None` for [`MessageId::ZERO`].
    pub fn non_zero(self) -> Option<Self> {
        (self != Self::ZERO).then_some(self)
    }
}

impl fmt::Display for MessageId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}

impl fmt::Debug for MessageId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "MessageId({})", self.0)
    }
}

/// The text is not a decimal number from 0 to 2^63 - 1.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("a message id is a decimal number from 0 to 9223372036854775807, sent as a string")]
pub struct ParseMessageIdError;

impl FromStr for MessageId {
    type Err = ParseMessageIdError;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        if text.is_empty() || !text.bytes().all(|byte| byte.is_ascii_digit()) {
            return Err(ParseMessageIdError);
        }
        let number: u64 = text.parse().map_err(|_| ParseMessageIdError)?;
        if number > Self::MAX.0 { Err(ParseMessageIdError) } else { Ok(Self(number)) }
    }
}

impl Serialize for MessageId {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(self)
    }
}

impl<'de> Deserialize<'de> for MessageId {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct Visitor;
        impl serde::de::Visitor<'_> for Visitor {
            type Value = MessageId;

            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                fmt::Display::fmt(&ParseMessageIdError, f)
            }

            fn visit_str<E: serde::de::Error>(self, text: &str) -> Result<MessageId, E> {
                text.parse().map_err(E::custom)
            }
        }
        deserializer.deserialize_str(Visitor)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const PARTITION: PartitionId = PartitionId(5);
    const TIME: UnixMillis = UnixMillis(RINGSIDE_EPOCH_MS + 1_000);

    #[test]
    fn parts_come_back() {
        let id = MessageId::at(TIME, PARTITION);
        assert_eq!((id.time(), id.partition()), (TIME, PARTITION));
    }

    #[test]
    fn rises_strictly_when_the_clock_stands_or_steps_back() {
        let mut last = MessageId::ZERO;
        for step in 0..10_000_u64 {
            let time = UnixMillis(TIME.0 - step % 7);
            let id = MessageId::following(last, time, PARTITION);
            assert!(id > last);
            assert_eq!(id.partition(), PARTITION, "a full sequence stays in its partition");
            last = id;
        }
        assert_eq!(last.time().0, TIME.0 + 2, "10,000 ids fill two milliseconds and part of a third");
    }

    #[test]
    fn json_is_a_decimal_string() {
        let id = MessageId(42);
        assert_eq!(serde_json::to_string(&id).expect("serializes"), "\"42\"");
        assert_eq!(serde_json::from_str::<MessageId>("\"42\"").expect("parses"), id);
        for bad in ["42", "\"-1\"", "\"+1\"", "\"\"", "\"9223372036854775808\"", "\"1e3\"", "null"] {
            assert!(serde_json::from_str::<MessageId>(bad).is_err(), "{bad}");
        }
    }
}
