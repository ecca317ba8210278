//! Appends: records on their way to brokers, each confirmed by all in-sync replicas.

use std::sync::{Arc, Mutex, PoisonError, RwLock};

use rdkafka::error::KafkaError;
use rdkafka::message::Timestamp;
use rdkafka::producer::future_producer::{Delivery, DeliveryFuture};
use rdkafka::producer::{FutureProducer, FutureRecord, Producer as _};
use ringside_ports::EngineError;
use ringside_ports::log::{Append, Position, RECORD_BYTES_MAX};
use ringside_types::{Offset, Topic, UnixMillis};
use tokio::sync::Semaphore;

use crate::client::Told;
use crate::config::Config;
use crate::error::{OpenError, of_kafka, unavailable};

/// Bytes of records that may wait for their confirmation at once; appends beyond them wait their turn.
const WAITING_BYTES_MAX: usize = 64 * 1024 * 1024;
/// What a record takes of them beside its payload.
const RECORD_OVERHEAD: usize = 128;
/// The largest record with what Kafka puts around it.
pub(crate) const MESSAGE_BYTES_MAX: usize = RECORD_BYTES_MAX + 64 * 1024;

/// Sends records. A clone is another handle.
#[derive(Clone)]
pub(crate) struct Producer {
    config: Arc<Config>,
    /// Replaced after a fatal error, which ends an idempotent producer.
    client: Arc<RwLock<FutureProducer<Told>>>,
    /// Held while an append's records are queued, so that they stand together and in the order of appends.
    queueing: Arc<Mutex<()>>,
    room: Arc<Semaphore>,
}

impl Producer {
    pub(crate) fn new(config: Arc<Config>) -> Result<Self, OpenError> {
        let client = connect(&config)?;
        let room = Arc::new(Semaphore::new(WAITING_BYTES_MAX));
        let queueing = Arc::default();
        Ok(Self { client: Arc::new(RwLock::new(client)), config, queueing, room })
    }

    /// Appends records whose partitions there are; `names` are the topics' names in the cluster.
    pub(crate) async fn append(
        &self,
        names: impl Fn(Topic) -> Arc<str>,
        records: &[Append],
    ) -> Result<Vec<Position>, EngineError> {
        let bytes: usize = records.iter().map(|record| record.payload.len() + RECORD_OVERHEAD).sum();
        let room = u32::try_from(bytes.min(WAITING_BYTES_MAX)).unwrap_or(u32::MAX);
        let room = tokio::time::timeout(self.config.append_timeout, self.room.acquire_many(room)).await;
        let Ok(Ok(_room)) = room else {
            return Err(unavailable(
                "more records wait for their confirmation than may; brokers are slow or away",
            ));
        };
        let deliveries = self.queue(names, records)?;
        let mut positions = Vec::with_capacity(records.len());
        let mut failed = None;
        // All are waited for, since those behind one that failed may be on their way still.
        for delivery in deliveries {
            match delivery.await {
                Ok(Ok(delivery)) => positions.push(position(&delivery)?),
                Ok(Err((error, _))) => failed = failed.or(Some(error)),
                Err(_) => failed = failed.or(Some(KafkaError::Canceled)),
            }
        }
        match failed {
            None => Ok(positions),
            Some(error) => {
                self.replace_if_ended();
                Err(of_kafka(error))
            }
        }
    }

    fn queue(
        &self,
        names: impl Fn(Topic) -> Arc<str>,
        records: &[Append],
    ) -> Result<Vec<DeliveryFuture>, EngineError> {
        let client = self.client.read().unwrap_or_else(PoisonError::into_inner);
        let _queueing = self.queueing.lock().unwrap_or_else(PoisonError::into_inner);
        let mut deliveries = Vec::with_capacity(records.len());
        for Append { topic, partition, payload } in records {
            let name = names(*topic);
            let record =
                FutureRecord::<(), [u8]>::to(&name).partition(i32::from(partition.0)).payload(payload);
            match client.send_result(record) {
                Ok(delivery) => deliveries.push(delivery),
                Err((error, _)) => {
                    // What is queued already may be appended: the caller knows by the error.
                    drop(client);
                    self.replace_if_ended();
                    return Err(of_kafka(error));
                }
            }
        }
        Ok(deliveries)
    }

    /// A fatal error (another took its epoch, or a broker lost what it had confirmed) ends the client for good.
    fn replace_if_ended(&self) {
        let mut client = self.client.write().unwrap_or_else(PoisonError::into_inner);
        let Some((code, cause)) = client.client().fatal_error() else { return };
        tracing::error!(%code, cause, "the Kafka producer has ended; a new one takes its place");
        match connect(&self.config) {
            Ok(new) => *client = new,
            Err(error) => tracing::error!(%error, "there is no new Kafka producer"),
        }
    }
}

fn connect(config: &Config) -> Result<FutureProducer<Told>, OpenError> {
    let mut client = config.client();
    let message_bytes = MESSAGE_BYTES_MAX.to_string();
    client
        // Sets `acks=all`, and that records of a partition keep their order whatever is sent again.
        .set("enable.idempotence", "true")
        .set("delivery.timeout.ms", config.append_timeout.as_millis().to_string())
        // What comes within so many milliseconds goes together: fewer requests, each of which three brokers handle.
        .set("linger.ms", "5")
        .set("message.max.bytes", message_bytes)
        // The semaphore is the bound.
        .set("queue.buffering.max.kbytes", (4 * WAITING_BYTES_MAX / 1024).to_string())
        .set("queue.buffering.max.messages", (WAITING_BYTES_MAX / RECORD_OVERHEAD).to_string());
    client.create_with_context(Told).map_err(|error| OpenError::Client(error.to_string()))
}

fn position(delivery: &Delivery) -> Result<Position, EngineError> {
    let time = match delivery.timestamp {
        Timestamp::LogAppendTime(time) => u64::try_from(time).ok(),
        Timestamp::CreateTime(_) | Timestamp::NotAvailable => None,
    };
    let (Some(time), Ok(offset)) = (time, u64::try_from(delivery.offset)) else {
        return Err(unavailable(
            "a broker did not say where and when a record was appended; is the topic's \
            `message.timestamp.type` LogAppendTime? `ringside doctor --cluster` tells",
        ));
    };
    Ok(Position { offset: Offset(offset), time: UnixMillis(time) })
}
