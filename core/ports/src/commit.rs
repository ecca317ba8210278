//! The commit of a processor's batch: four steps, each confirmed before the next, or all in one.

use std::future::Future;

use ringside_domain::rows::{HeadRow, Progress, Rows};
use ringside_types::PartitionId;

use crate::EngineError;
use crate::log::Append;

/// All that a batch of one partition's records made.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct CommitBatch {
    /// The partition of `messages.send`.
    pub partition: PartitionId,
    /// Step 1: the rows,
    pub rows: Rows,
    /// and all records that are outside the chain: `messages.stored`, rejections, `member_added`.
    pub outside: Vec<Append>,
    /// Step 2: where the channels stand.
    pub heads: Vec<HeadRow>,
    /// Step 3: records to the edges, and the answers to joins.
    pub edges: Vec<Append>,
    /// Step 4: how far the processor has come.
    pub progress: Progress,
}

/// Commits batches.
///
/// Two implementations: one atomic write where log and store share a database, and four confirmed steps over
/// any [`crate::Log`] and [`crate::MessageStore`].
pub trait Committer: Clone + Send + Sync + 'static {
    /// Commits a batch; returns once all of it is durable. After an error any of the steps may have been done, in
    /// their order: the caller drops what it knows and replays from the store's progress.
    fn commit(&self, batch: CommitBatch) -> impl Future<Output = Result<(), EngineError>> + Send;
}
