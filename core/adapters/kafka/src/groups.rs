//! What consumer groups have done: offsets, and notes in their metadata.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, PoisonError};

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use bytes::Bytes;
use rdkafka::consumer::{BaseConsumer, CommitMode, Consumer as _};
use rdkafka::error::KafkaError;
use rdkafka::{Offset as At, TopicPartitionList};
use ringside_ports::EngineError;
use ringside_ports::log::{COMMIT_METADATA_BYTES_MAX, Commit};
use ringside_types::Offset;

use crate::client::{Calls, Told};
use crate::config::Config;
use crate::error::{of_kafka, unavailable};

/// A client for each group, made when it is first needed.
///
/// A group whose partitions are given to its members takes commits of members alone: they come from the member's own client
/// ([`Groups::join`]).
pub(crate) struct Groups {
    config: Arc<Config>,
    clients: Mutex<BTreeMap<String, Arc<BaseConsumer<Told>>>>,
}

impl Groups {
    pub(crate) fn new(config: Arc<Config>) -> Self {
        Self { config, clients: Mutex::default() }
    }

    fn client(&self, group: &str) -> Result<Arc<BaseConsumer<Told>>, EngineError> {
        let mut clients = self.clients.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(client) = clients.get(group) {
            return Ok(client.clone());
        }
        let mut client = self.config.client();
        client.set("group.id", self.config.group(group)).set("enable.auto.commit", "false");
        let client: Arc<BaseConsumer<_>> = Arc::new(client.create_with_context(Told).map_err(of_kafka)?);
        clients.insert(group.to_owned(), client.clone());
        drop(clients);
        Ok(client)
    }

    pub(crate) async fn commit(
        &self,
        calls: &Calls,
        group: &str,
        (topic, partition): (Arc<str>, i32),
        commit: Commit,
    ) -> Result<(), EngineError> {
        let bytes = commit.metadata.len();
        if bytes > COMMIT_METADATA_BYTES_MAX {
            return Err(unavailable(format!("a note of {bytes} bytes: {COMMIT_METADATA_BYTES_MAX} at most")));
        }
        let client = self.client(group)?;
        let call = move || {
            let mut list = TopicPartitionList::new();
            let at = At::Offset(i64::try_from(commit.offset.0).unwrap_or(i64::MAX));
            let mut element = list.add_partition(&topic, partition);
            element.set_offset(at)?;
            element.set_metadata(STANDARD.encode(&commit.metadata));
            client.commit(&list, CommitMode::Sync)
        };
        calls.run(self.config.request_timeout, call).await
    }

    pub(crate) async fn committed(
        &self,
        calls: &Calls,
        group: &str,
        (topic, partition): (Arc<str>, i32),
    ) -> Result<Option<Commit>, EngineError> {
        let (client, within) = (self.client(group)?, self.config.request_timeout);
        let call = move || {
            let mut list = TopicPartitionList::new();
            list.add_partition(&topic, partition);
            let list = client.committed_offsets(list, within)?;
            let Some(element) = list.find_partition(&topic, partition) else {
                return Err(KafkaError::Canceled);
            };
            element.error()?;
            let At::Offset(offset) = element.offset() else { return Ok(None) };
            // A note that is not ours says nothing: then the store's progress counts.
            let metadata = STANDARD.decode(element.metadata()).unwrap_or_default();
            let offset = Offset(u64::try_from(offset).unwrap_or(0));
            Ok(Some(Commit { offset, metadata: Bytes::from(metadata) }))
        };
        calls.run(within, call).await
    }
}
