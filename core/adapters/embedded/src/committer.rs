//! The commit: rows, heads, progress and what is derived from them are one atomic batch of the store. It has no sync of
//! its own: what a crash takes of it is replayed from the log, to the same bytes.

use std::sync::Arc;

use ringside_ports::commit::CommitBatch;
use ringside_ports::log::Append;
use ringside_ports::{Committer, EngineError};

use crate::config::{Keeping, keeping};
use crate::engine::{Shared, StoreWork};
use crate::log::{append, check};

/// The committer of an engine. A clone is another handle.
#[derive(Clone)]
pub struct EmbeddedCommitter(Arc<Shared>);

impl EmbeddedCommitter {
    pub(crate) fn new(shared: Arc<Shared>) -> Self {
        Self(shared)
    }
}

impl Committer for EmbeddedCommitter {
    async fn commit(&self, mut batch: CommitBatch) -> Result<(), EngineError> {
        check(&self.0.core, &batch.outside)?;
        check(&self.0.core, &batch.edges)?;
        let is_beside = |record: &Append| keeping(record.topic) == Keeping::Store;
        let (beside, outside) = batch.outside.into_iter().partition(is_beside);
        batch.outside = beside;
        let edges = std::mem::take(&mut batch.edges);
        append(&self.0, outside).await?;
        self.0.core.write(StoreWork::Commit(Box::new(batch)))?;
        // The store has it before an edge does: whoever is told of a message can read it.
        append(&self.0, edges).await.map(drop)
    }
}

impl std::fmt::Debug for EmbeddedCommitter {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("EmbeddedCommitter")
    }
}
