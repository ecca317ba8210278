//! The store: the ports' calls over the engine.

use std::collections::HashSet;
use std::sync::Arc;

use futures_util::future::try_join_all;
use ringside_domain::rows::{ChangeRow, HeadRow, MessageRow, Prefetch, Prefetched, Progress, Rows, SlotRow};
use ringside_ports::store::{ChangeRange, MessageRange, PartitionRows};
use ringside_ports::{ChannelReader, EngineError, PartitionStore};
use ringside_types::{ChannelId, MessageId, PartitionId};

use crate::buckets::{Month, Noted};
use crate::config::Config;
use crate::connection::{connect, prepare};
use crate::counters::Counters;
use crate::error::OpenError;
use crate::requests::{Question, Requests};
use crate::rows::Values;
use crate::schema::observed::Observed;
use crate::statements::Statement;
use crate::writing::Staging;

/// The message store in a keyspace of Cassandra or ScyllaDB. A clone is another handle.
#[derive(Clone, Debug)]
pub struct CassandraStore(Arc<Shared>);

#[derive(Debug)]
struct Shared {
    requests: Requests,
    noted: Noted,
}

impl CassandraStore {
    /// Opens the keyspace that `ringside init` has made, and prepares every statement.
    ///
    /// # Errors
    /// The engine does not answer or does not let the caller in, or the keyspace is not there, not whole, or of another
    /// version. Each says what to do.
    pub async fn open(config: Config) -> Result<Self, OpenError> {
        let session = connect(&config, config.attempt_timeout).await?;
        Observed::of(&session, &config).await?.is_ours(&config)?;
        let prepared = prepare(&session, &config).await?;
        let requests = Requests::new(session, prepared, config);
        Ok(Self(Arc::new(Shared { requests, noted: Noted::default() })))
    }

    /// What it has asked of the engine since it was opened.
    pub fn counters(&self) -> &Counters {
        &self.0.requests.counters
    }

    async fn write(&self, staging: Staging) -> Result<(), EngineError> {
        let requests = &self.0.requests;
        requests.write(&requests.call(), staging.groups(requests.batch_bytes_max())).await
    }
}

impl ChannelReader for CassandraStore {
    async fn load(&self, wanted: &Prefetch) -> Result<Prefetched, EngineError> {
        let requests = &self.0.requests;
        requests.load_heads_first(&requests.call(), wanted).await
    }

    async fn messages(&self, ranges: &[MessageRange]) -> Result<Vec<Vec<MessageRow>>, EngineError> {
        let (requests, call) = (&self.0.requests, &self.0.requests.call());
        try_join_all(ranges.iter().map(|range| requests.messages_in(call, *range))).await
    }

    async fn replies(&self, to: MessageId, range: MessageRange) -> Result<Vec<MessageRow>, EngineError> {
        let requests = &self.0.requests;
        requests.replies_in(&requests.call(), to, range).await
    }

    async fn changes(&self, ranges: &[ChangeRange]) -> Result<Vec<Vec<ChangeRow>>, EngineError> {
        let (requests, call) = (&self.0.requests, &self.0.requests.call());
        try_join_all(ranges.iter().map(|range| requests.changes_in(call, *range))).await
    }
}

impl PartitionStore for CassandraStore {
    async fn partition(&self, partition: PartitionId) -> Result<PartitionRows, EngineError> {
        let (requests, call) = (&self.0.requests, &self.0.requests.call());
        let ask = |statement| vec![Question { statement, values: Values::default().u16(partition.0) }];
        let (progress, slots) = tokio::try_join!(
            requests.rows::<Progress>(call, ask(Statement::Progress)),
            requests.rows::<SlotRow>(call, ask(Statement::Slots))
        )?;
        let progress = progress.into_iter().flatten().next();
        Ok(PartitionRows { progress, slots: slots.into_iter().flatten().collect() })
    }

    /// In one round: the partition's owner is the one who writes these rows.
    async fn prefetch(&self, wanted: &Prefetch) -> Result<Prefetched, EngineError> {
        let requests = &self.0.requests;
        requests.load_at_once(&requests.call(), wanted).await
    }

    async fn write_rows(&self, partition: PartitionId, rows: &Rows) -> Result<(), EngineError> {
        let mut staging = Staging::default();
        staging.rows(partition, rows)?;
        let messages = rows.messages.iter().map(|row| (row.channel_id, Month::of(row.message_id)));
        let reactions = rows.reactions.iter().map(|row| (row.channel_id, Month::of(row.message_id)));
        let new_buckets: HashSet<(ChannelId, Month)> = self.0.noted.missing(messages.chain(reactions));
        staging.buckets(new_buckets.iter())?;
        self.write(staging).await?;
        self.0.noted.confirmed(new_buckets);
        Ok(())
    }

    async fn write_heads(&self, heads: &[HeadRow]) -> Result<(), EngineError> {
        let mut staging = Staging::default();
        staging.heads(heads)?;
        self.write(staging).await
    }

    async fn write_progress(&self, progress: Progress) -> Result<(), EngineError> {
        let mut staging = Staging::default();
        staging.progress(&progress)?;
        self.write(staging).await
    }
}
