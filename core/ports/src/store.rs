//! The message store: the rows that the log owns.

use std::future::Future;

use ringside_domain::rows::{ChangeRow, HeadRow, MessageRow, Prefetch, Prefetched, Progress, Rows, SlotRow};
use ringside_types::{ChannelId, MessageId, PartitionId};

use crate::EngineError;

/// What the store keeps of a partition itself.
#[derive(Clone, Debug, PartialEq, Eq, Default)]
pub struct PartitionRows {
    /// How far its processor came; `None`: it never ran.
    pub progress: Option<Progress>,
    /// The epochs that it has seen.
    pub slots: Vec<SlotRow>,
}

/// Which messages of a channel to read. Both ends are excluded.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct MessageRange {
    /// The channel.
    pub channel_id: ChannelId,
    /// Messages above this id.
    pub after: MessageId,
    /// Messages below this id.
    pub before: MessageId,
    /// At most so many.
    pub limit: usize,
    /// Which ones, where there are more, and in which order they come.
    pub order: Order,
}

/// The order of a read.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Order {
    /// From the oldest on.
    OldestFirst,
    /// From the newest back.
    NewestFirst,
}

/// Which changes of a channel to read: above `after`, up to and with `up_to`, oldest first.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct ChangeRange {
    /// The channel.
    pub channel_id: ChannelId,
    /// Changes above this number.
    pub after: u64,
    /// Changes up to this number.
    pub up_to: u64,
    /// At most so many.
    pub limit: usize,
}

/// What readers of channels ask of the message store.
///
/// Rows may be there before their head is: a reader reads the head first and returns nothing above it. That holds for a
/// store without snapshots, too.
pub trait ChannelReader: Clone + Send + Sync + 'static {
    /// Everything that is wanted, as far as there is such a thing.
    fn load(&self, wanted: &Prefetch) -> impl Future<Output = Result<Prefetched, EngineError>> + Send;

    /// Messages of channels, range by range.
    fn messages(
        &self,
        ranges: &[MessageRange],
    ) -> impl Future<Output = Result<Vec<Vec<MessageRow>>, EngineError>> + Send;

    /// Messages of a channel that answer the message `to`. Unlike those of a channel they are not dense.
    fn replies(
        &self,
        to: MessageId,
        range: MessageRange,
    ) -> impl Future<Output = Result<Vec<MessageRow>, EngineError>> + Send;

    /// Changes of channels, range by range.
    fn changes(
        &self,
        ranges: &[ChangeRange],
    ) -> impl Future<Output = Result<Vec<Vec<ChangeRow>>, EngineError>> + Send;
}

/// What a partition's owner asks of the message store: the state that it decides by, and the steps of a commit.
///
/// Of two writes of one row the greater write timestamp wins; read cursors and progress are registers that only grow.
/// Steps are confirmed in the order in which [`crate::Committer`] takes them.
pub trait PartitionStore: Clone + Send + Sync + 'static {
    /// What is kept of a partition.
    fn partition(
        &self,
        partition: PartitionId,
    ) -> impl Future<Output = Result<PartitionRows, EngineError>> + Send;

    /// The rows that a batch of records decides by.
    fn prefetch(&self, wanted: &Prefetch) -> impl Future<Output = Result<Prefetched, EngineError>> + Send;

    /// Writes the rows of a commit's first step.
    fn write_rows(
        &self,
        partition: PartitionId,
        rows: &Rows,
    ) -> impl Future<Output = Result<(), EngineError>> + Send;

    /// Writes the heads of a commit's second step.
    fn write_heads(&self, heads: &[HeadRow]) -> impl Future<Output = Result<(), EngineError>> + Send;

    /// Writes the progress of a commit's last step.
    fn write_progress(&self, progress: Progress) -> impl Future<Output = Result<(), EngineError>> + Send;
}

/// The message store, whole: what an adapter implements.
pub trait MessageStore: ChannelReader + PartitionStore {}

impl<S: ChannelReader + PartitionStore> MessageStore for S {}
