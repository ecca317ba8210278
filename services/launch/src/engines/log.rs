//! The log.

use std::time::Duration;

use ringside_embedded::EmbeddedLog;
use ringside_ports::log::{Append, Bounds, Commit, Position, ReadLimit, Record};
use ringside_ports::{EngineError, Log};
use ringside_types::{Offset, PartitionId, Topic, UnixMillis};

#[derive(Clone, Debug)]
pub(crate) enum LogEngine {
    /// In the data folder.
    Embedded(EmbeddedLog),
    #[cfg(feature = "cluster")]
    Kafka(ringside_kafka::KafkaLog),
}

delegate! {
    Log for LogEngine [Embedded, #[cfg(feature = "cluster")] Kafka] {
        sync fn partitions(topic: Topic) -> u16;
        fn append(records: Vec<Append>) -> Result<Vec<Position>, EngineError>;
        fn read(topic: Topic, partition: PartitionId, from: Offset, limit: ReadLimit, wait: Duration) -> Result<Vec<Record>, EngineError>;
        fn bounds(topic: Topic, partition: PartitionId) -> Result<Bounds, EngineError>;
        fn offset_at(topic: Topic, partition: PartitionId, time: UnixMillis) -> Result<Offset, EngineError>;
        fn commit(group: &'static str, topic: Topic, partition: PartitionId, commit: Commit) -> Result<(), EngineError>;
        fn committed(group: &'static str, topic: Topic, partition: PartitionId) -> Result<Option<Commit>, EngineError>;
    }
}
