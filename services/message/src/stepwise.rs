//! The commit in four confirmed steps, over any log and store.

use bytes::Bytes;
use ringside_domain::rows::{Progress, WriteTimestamp};
use ringside_ports::commit::CommitBatch;
use ringside_ports::log::Commit;
use ringside_ports::{Committer, EngineError, Log, PartitionStore};
use ringside_types::{MessageId, Offset, PartitionId, Topic};

/// The consumer group of the processors.
pub const GROUP: &str = "message";

/// Commits step by step, each confirmed before the next.
#[derive(Debug, Clone)]
pub struct Stepwise<L, S> {
    log: L,
    store: S,
}

impl<L: Log, S: PartitionStore> Stepwise<L, S> {
    /// Over this log and store.
    pub fn new(log: L, store: S) -> Self {
        Self { log, store }
    }
}

impl<L: Log, S: PartitionStore> Committer for Stepwise<L, S> {
    async fn commit(&self, batch: CommitBatch) -> Result<(), EngineError> {
        self.store.write_rows(batch.partition, &batch.rows).await?;
        if !batch.outside.is_empty() {
            self.log.append(batch.outside).await?;
        }
        if !batch.heads.is_empty() {
            self.store.write_heads(&batch.heads).await?;
        }
        if !batch.edges.is_empty() {
            self.log.append(batch.edges).await?;
        }
        self.store.write_progress(batch.progress).await?;
        let commit = Commit { offset: batch.progress.offset, metadata: note(&batch.progress) };
        self.log.commit(GROUP, Topic::MessagesSend, batch.partition, commit).await
    }
}

/// The progress as the metadata of a committed offset: `last` and `stamp`, 8 bytes each, big-endian.
fn note(progress: &Progress) -> Bytes {
    let mut note = Vec::with_capacity(16);
    note.extend_from_slice(&progress.last.0.to_be_bytes());
    note.extend_from_slice(&progress.stamp.0.to_be_bytes());
    note.into()
}

/// Reads back what [`note`] wrote. `None`: not ours, or damaged; then the store's progress counts.
pub(crate) fn read_note(partition: PartitionId, offset: Offset, note: &[u8]) -> Option<Progress> {
    let (last, stamp) = note.split_first_chunk::<8>()?;
    let stamp: [u8; 8] = stamp.try_into().ok()?;
    let (last, stamp) = (u64::from_be_bytes(*last), u64::from_be_bytes(stamp));
    Some(Progress { partition, offset, last: MessageId(last), stamp: WriteTimestamp(stamp) })
}
