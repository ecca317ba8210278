//! The store of messages, and what commits to it.

use ringside_domain::rows::{ChangeRow, HeadRow, MessageRow, Prefetch, Prefetched, Progress, Rows};
use ringside_embedded::{EmbeddedCommitter, EmbeddedStore};
use ringside_ports::commit::CommitBatch;
use ringside_ports::store::{ChangeRange, MessageRange, PartitionRows};
use ringside_ports::{ChannelReader, Committer, EngineError, PartitionStore};
use ringside_types::{MessageId, PartitionId};

/// The store of messages.
#[derive(Clone, Debug)]
pub(crate) enum StoreEngine {
    /// In the data folder.
    Embedded(EmbeddedStore),
    #[cfg(feature = "cluster")]
    Cassandra(ringside_cassandra::CassandraStore),
}

/// How a processor's batch reaches log and store.
#[derive(Clone, Debug)]
pub(crate) enum CommitterEngine {
    /// In one batch of the data folder's database.
    Embedded(EmbeddedCommitter),
    /// Step by step, where log and store are apart.
    #[cfg(feature = "cluster")]
    Stepwise(ringside_message::stepwise::Stepwise<super::LogEngine, StoreEngine>),
}

delegate! {
    ChannelReader for StoreEngine [Embedded, #[cfg(feature = "cluster")] Cassandra] {
        fn load(wanted: &Prefetch) -> Result<Prefetched, EngineError>;
        fn messages(ranges: &[MessageRange]) -> Result<Vec<Vec<MessageRow>>, EngineError>;
        fn replies(to: MessageId, range: MessageRange) -> Result<Vec<MessageRow>, EngineError>;
        fn changes(ranges: &[ChangeRange]) -> Result<Vec<Vec<ChangeRow>>, EngineError>;
    }
}

delegate! {
    PartitionStore for StoreEngine [Embedded, #[cfg(feature = "cluster")] Cassandra] {
        fn partition(partition: PartitionId) -> Result<PartitionRows, EngineError>;
        fn prefetch(wanted: &Prefetch) -> Result<Prefetched, EngineError>;
        fn write_rows(partition: PartitionId, rows: &Rows) -> Result<(), EngineError>;
        fn write_heads(heads: &[HeadRow]) -> Result<(), EngineError>;
        fn write_progress(progress: Progress) -> Result<(), EngineError>;
    }
}

delegate! {
    Committer for CommitterEngine [Embedded, #[cfg(feature = "cluster")] Stepwise] {
        fn commit(batch: CommitBatch) -> Result<(), EngineError>;
    }
}
