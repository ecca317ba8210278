//! The log: topics of partitions of records, durable when confirmed.

use std::future::Future;
use std::time::Duration;

use bytes::Bytes;
use ringside_types::{Offset, PartitionId, Topic, UnixMillis};

use crate::EngineError;

/// Bytes of a record's payload at the most; one that is larger is refused, and with it all that was to be appended.
pub const RECORD_BYTES_MAX: usize = 16 * 1024 * 1024;
/// Bytes of a consumer's note at the most. In base64 they are the 4 KiB that Kafka keeps (`offset.metadata.max.bytes`).
pub const COMMIT_METADATA_BYTES_MAX: usize = 3 * 1024;

/// A record to append.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Append {
    /// The topic.
    pub topic: Topic,
    /// Its partition.
    pub partition: PartitionId,
    /// The record.
    pub payload: Bytes,
}

/// Where a record came to stand.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Position {
    /// In its partition.
    pub offset: Offset,
    /// The log's time of it: never earlier than that of the record before, but for a clock stepped back.
    pub time: UnixMillis,
}

/// A record as it is read.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Record {
    /// In its partition.
    pub offset: Offset,
    /// The log's time of it.
    pub time: UnixMillis,
    /// What was appended.
    pub payload: Bytes,
}

/// How much a read returns at the most. At least one record is returned where there is one.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct ReadLimit {
    /// Records.
    pub records: usize,
    /// Bytes of payload.
    pub bytes: usize,
}

/// The offsets that a partition holds: from `start` up to, not including, `end`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Bounds {
    /// The oldest record kept.
    pub start: Offset,
    /// Where the next record goes.
    pub end: Offset,
}

/// What a consumer has done with a partition, in the log's keeping.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Commit {
    /// The next record to read.
    pub offset: Offset,
    /// The consumer's own note, at most [`COMMIT_METADATA_BYTES_MAX`] long.
    pub metadata: Bytes,
}

/// The log.
pub trait Log: Clone + Send + Sync + 'static {
    /// How many partitions a topic has; fixed when the data folder or cluster is made.
    fn partitions(&self, topic: Topic) -> u16;

    /// Appends all, in order within each partition, and returns once all of it is durable. The positions are in
    /// the order of `records`. On an error any part of it may have been appended.
    fn append(&self, records: Vec<Append>)
    -> impl Future<Output = Result<Vec<Position>, EngineError>> + Send;

    /// Reads from `from` on, in order. Where there is nothing yet it waits up to `wait`, then returns nothing.
    /// An offset below the partition's start is an error ([`EngineError::Damaged`]): never a silent skip.
    fn read(
        &self,
        topic: Topic,
        partition: PartitionId,
        from: Offset,
        limit: ReadLimit,
        wait: Duration,
    ) -> impl Future<Output = Result<Vec<Record>, EngineError>> + Send;

    /// What the partition holds now.
    fn bounds(
        &self,
        topic: Topic,
        partition: PartitionId,
    ) -> impl Future<Output = Result<Bounds, EngineError>> + Send;

    /// The first record appended at or after `time`; the end where there is none.
    fn offset_at(
        &self,
        topic: Topic,
        partition: PartitionId,
        time: UnixMillis,
    ) -> impl Future<Output = Result<Offset, EngineError>> + Send;

    /// Keeps what the consumer group `group` has done.
    fn commit(
        &self,
        group: &'static str,
        topic: Topic,
        partition: PartitionId,
        commit: Commit,
    ) -> impl Future<Output = Result<(), EngineError>> + Send;

    /// What the group last committed.
    fn committed(
        &self,
        group: &'static str,
        topic: Topic,
        partition: PartitionId,
    ) -> impl Future<Output = Result<Option<Commit>, EngineError>> + Send;
}
