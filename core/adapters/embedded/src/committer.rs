//! The commit in one step: log and store share a database, so all four steps are one atomic batch.

use std::sync::Arc;

use ringside_ports::commit::CommitBatch;
use ringside_ports::{Committer, EngineError};

use crate::engine::{Shared, Work};
use crate::log::check;

/// The committer of an engine. A clone is another handle.
#[derive(Clone)]
pub struct EmbeddedCommitter(Arc<Shared>);

impl EmbeddedCommitter {
    pub(crate) fn new(shared: Arc<Shared>) -> Self {
        Self(shared)
    }
}

impl Committer for EmbeddedCommitter {
    async fn commit(&self, batch: CommitBatch) -> Result<(), EngineError> {
        check(&self.0.core, &batch.outside)?;
        check(&self.0.core, &batch.edges)?;
        self.0.submit(Work::Commit(Box::new(batch))).await.map(drop)
    }
}

impl std::fmt::Debug for EmbeddedCommitter {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("EmbeddedCommitter")
    }
}
