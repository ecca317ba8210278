//! The port.

use std::collections::BTreeMap;
use std::fmt;
use std::sync::Arc;
use std::time::Duration;

use rdkafka::consumer::Consumer as _;
use rdkafka::{Offset as At, TopicPartitionList};
use ringside_ports::log::{Append, Bounds, Commit, Position, RECORD_BYTES_MAX, ReadLimit, Record};
use ringside_ports::{EngineError, Log};
use ringside_types::{Offset, PartitionId, Topic, UnixMillis};

use crate::config::Config;
use crate::error::{OpenError, unavailable};
use crate::groups::Groups;
use crate::partition::Partitions;
use crate::producer::Producer;
use crate::topics;

/// The log on Kafka. A clone is another handle.
#[derive(Clone)]
pub struct KafkaLog(Arc<Shared>);

struct Shared {
    config: Arc<Config>,
    topics: BTreeMap<Topic, Known>,
    producer: Producer,
    partitions: Partitions,
    groups: Groups,
}

/// What is known of a topic; it doesn't change while the log is open.
struct Known {
    name: Arc<str>,
    partitions: u16,
}

impl KafkaLog {
    /// Opens the log of a cluster whose topics are there and as they must be ([`topics::init`] makes them).
    ///
    /// # Errors
    /// The sentence that says what to do.
    pub async fn open(config: Config) -> Result<Self, OpenError> {
        let partitions = topics::checked(&config).await?;
        let config = Arc::new(config);
        let known = |(topic, partitions)| (topic, Known { name: config.topic(topic).into(), partitions });
        let topics = partitions.into_iter().map(known).collect();
        let producer = Producer::new(config.clone())?;
        let partitions = Partitions::new(config.clone())?;
        let groups = Groups::new(config.clone());
        Ok(Self(Arc::new(Shared { config, topics, producer, partitions, groups })))
    }

    /// A topic's name in the cluster and the partition's number, if there is such a partition.
    fn known(&self, topic: Topic, partition: PartitionId) -> Result<(Arc<str>, i32), EngineError> {
        match self.0.topics.get(&topic) {
            Some(known) if partition.0 < known.partitions => Ok((known.name.clone(), i32::from(partition.0))),
            _ => Err(unavailable(format!("{} has no partition {partition}", topic.name()))),
        }
    }
}

impl Log for KafkaLog {
    fn partitions(&self, topic: Topic) -> u16 {
        self.0.topics.get(&topic).map_or(0, |known| known.partitions)
    }

    async fn append(&self, records: Vec<Append>) -> Result<Vec<Position>, EngineError> {
        for Append { topic, partition, payload } in &records {
            self.known(*topic, *partition)?;
            let (bytes, name) = (payload.len(), topic.name());
            if bytes > RECORD_BYTES_MAX {
                return Err(unavailable(format!(
                    "a record of {bytes} bytes for {name}: {RECORD_BYTES_MAX} at most"
                )));
            }
        }
        let name = |topic| self.0.topics.get(&topic).map_or_else(|| "".into(), |known| known.name.clone());
        self.0.producer.append(name, &records).await
    }

    async fn read(
        &self,
        topic: Topic,
        partition: PartitionId,
        from: Offset,
        limit: ReadLimit,
        wait: Duration,
    ) -> Result<Vec<Record>, EngineError> {
        let (name, _) = self.known(topic, partition)?;
        let reader = self.0.partitions.partition(topic, &name, partition);
        reader.read(&self.0.partitions, from, limit, wait).await
    }

    async fn bounds(&self, topic: Topic, partition: PartitionId) -> Result<Bounds, EngineError> {
        let (name, number) = self.known(topic, partition)?;
        self.0.partitions.bounds(&name, number).await
    }

    async fn offset_at(
        &self,
        topic: Topic,
        partition: PartitionId,
        time: UnixMillis,
    ) -> Result<Offset, EngineError> {
        let (name, number) = self.known(topic, partition)?;
        // Before the search: what is appended after it may be younger than what was asked for.
        let Bounds { end, .. } = self.0.partitions.bounds(&name, number).await?;
        let (client, within) = (self.0.partitions.client(), self.0.config.request_timeout);
        let call = move || {
            let mut list = TopicPartitionList::new();
            let time = At::Offset(i64::try_from(time.0).unwrap_or(i64::MAX));
            list.add_partition_offset(&name, number, time)?;
            let found = client.offsets_for_times(list, within)?;
            let Some(element) = found.find_partition(&name, number) else { return Ok(None) };
            element.error()?;
            Ok(match element.offset() {
                At::Offset(offset) => u64::try_from(offset).ok().map(Offset),
                _ => None,
            })
        };
        Ok(self.0.partitions.calls().run(within, call).await?.unwrap_or(end))
    }

    async fn commit(
        &self,
        group: &'static str,
        topic: Topic,
        partition: PartitionId,
        commit: Commit,
    ) -> Result<(), EngineError> {
        let place = self.known(topic, partition)?;
        self.0.groups.commit(self.0.partitions.calls(), group, place, commit).await
    }

    async fn committed(
        &self,
        group: &'static str,
        topic: Topic,
        partition: PartitionId,
    ) -> Result<Option<Commit>, EngineError> {
        let place = self.known(topic, partition)?;
        self.0.groups.committed(self.0.partitions.calls(), group, place).await
    }
}

impl fmt::Debug for KafkaLog {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("KafkaLog").field("brokers", &self.0.config.brokers).finish_non_exhaustive()
    }
}
