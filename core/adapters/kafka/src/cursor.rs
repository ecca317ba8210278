//! A place in a partition from which one reads on, and the records just before it.

use std::collections::VecDeque;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use bytes::Bytes;
use rdkafka::consumer::base_consumer::PartitionQueue;
use rdkafka::consumer::{BaseConsumer, Consumer as _};
use rdkafka::error::KafkaError;
use rdkafka::message::{BorrowedMessage, Message as _};
use rdkafka::{Offset as At, TopicPartitionList};
use ringside_ports::EngineError;
use ringside_ports::log::{ReadLimit, Record};
use ringside_types::{Offset, UnixMillis};
use tokio::sync::Notify;

use crate::client::Told;
use crate::error::{of_kafka, unavailable};

/// Bytes of records that are kept for readers behind the one that is furthest.
const RECENT_BYTES_MAX: usize = 512 * 1024;

/// What a reader finds.
pub(crate) enum Found {
    /// At least one record.
    Records(Vec<Record>),
    /// Nothing has come yet; [`Notify`] tells when something has.
    Nothing,
    /// The cursor is somewhere else.
    Elsewhere,
    /// After a record another followed than the next; the cursor is nowhere now.
    Gap,
}

/// One consumer's place in one partition.
pub(crate) struct Cursor {
    consumer: Arc<BaseConsumer<Told>>,
    state: Mutex<State>,
}

struct State {
    /// Where records come in; none while the partition is not read.
    queue: Option<PartitionQueue<Told>>,
    /// The next record to take from the queue.
    next: u64,
    /// The records before it, without a hole.
    recent: VecDeque<Record>,
    recent_bytes: usize,
    used: Instant,
}

impl Cursor {
    pub(crate) fn new(consumer: Arc<BaseConsumer<Told>>) -> Self {
        let (recent, used) = (VecDeque::new(), Instant::now());
        Self { consumer, state: Mutex::new(State { queue: None, next: 0, recent, recent_bytes: 0, used }) }
    }

    /// The records from `from` on, as far as they have come.
    pub(crate) fn take(&self, from: Offset, limit: ReadLimit) -> Result<Found, EngineError> {
        self.state().take(from.0, limit)
    }

    /// When somebody read here last.
    pub(crate) fn used(&self) -> Instant {
        self.state().used
    }

    /// Goes to another place, which there is. It waits for the consumer's own thread.
    pub(crate) fn place(
        &self,
        topic: &str,
        partition: i32,
        at: Offset,
        came: &Arc<Notify>,
    ) -> Result<(), KafkaError> {
        let mut state = self.state();
        state.leave(&self.consumer, topic, partition)?;
        let raw = i64::try_from(at.0).unwrap_or(i64::MAX);
        let mut list = TopicPartitionList::new();
        list.add_partition_offset(topic, partition, At::Offset(raw))?;
        // Before it is assigned, so that no record takes the way to the consumer's own queue.
        let mut queue = self.consumer.split_partition_queue(topic, partition).ok_or(KafkaError::Canceled)?;
        let came = came.clone();
        queue.set_nonempty_callback(move || came.notify_waiters());
        self.consumer.incremental_assign(&list)?;
        state.queue = Some(queue);
        (state.next, state.used) = (at.0, Instant::now());
        Ok(())
    }

    /// Ends the reading if nobody has read for so long.
    pub(crate) fn leave_if_idle(
        &self,
        topic: &str,
        partition: i32,
        idle: Duration,
    ) -> Result<(), KafkaError> {
        let mut state = self.state();
        if state.queue.is_some() && state.used.elapsed() > idle {
            state.leave(&self.consumer, topic, partition)?;
        }
        Ok(())
    }

    fn state(&self) -> MutexGuard<'_, State> {
        // A panic inside would leave the records dense: they are changed one by one.
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl State {
    fn take(&mut self, from: u64, limit: ReadLimit) -> Result<Found, EngineError> {
        let start = self.next - self.recent.len() as u64;
        if self.queue.is_none() || !(start..=self.next).contains(&from) {
            return Ok(Found::Elsewhere);
        }
        self.used = Instant::now();
        let mut page = Page { limit, records: Vec::new(), bytes: 0 };
        let behind = usize::try_from(from - start).unwrap_or(usize::MAX);
        for record in self.recent.iter().skip(behind) {
            if !page.take(record) {
                return Ok(Found::Records(page.records));
            }
        }
        while let Some(polled) = self.queue.as_ref().and_then(|queue| queue.poll(Duration::ZERO)) {
            let record = match polled.map(|message| record(&message)) {
                Ok(record) => record?,
                Err(error) if is_out_of_range(&error) => {
                    self.queue = None;
                    return Ok(Found::Elsewhere);
                }
                Err(error) => {
                    self.queue = None;
                    return Err(of_kafka(error));
                }
            };
            match record.offset.0.cmp(&self.next) {
                // Of the place before this one.
                std::cmp::Ordering::Less => continue,
                std::cmp::Ordering::Equal => {}
                std::cmp::Ordering::Greater => {
                    self.queue = None;
                    return Ok(Found::Gap);
                }
            }
            let is_taken = page.take(&record);
            self.keep(record);
            if !is_taken {
                break;
            }
        }
        self.forget();
        Ok(if page.records.is_empty() { Found::Nothing } else { Found::Records(page.records) })
    }

    fn keep(&mut self, record: Record) {
        self.next = record.offset.0 + 1;
        self.recent_bytes += record.payload.len();
        self.recent.push_back(record);
    }

    fn forget(&mut self) {
        while self.recent_bytes > RECENT_BYTES_MAX
            && let Some(record) = self.recent.pop_front()
        {
            self.recent_bytes -= record.payload.len();
        }
    }

    fn leave(
        &mut self,
        consumer: &BaseConsumer<Told>,
        topic: &str,
        partition: i32,
    ) -> Result<(), KafkaError> {
        (self.queue, self.recent_bytes) = (None, 0);
        self.recent.clear();
        let assigned = consumer.assignment()?;
        if assigned.find_partition(topic, partition).is_some() {
            let mut list = TopicPartitionList::new();
            list.add_partition(topic, partition);
            consumer.incremental_unassign(&list)?;
        }
        Ok(())
    }
}

/// What one read returns, as it fills.
struct Page {
    limit: ReadLimit,
    records: Vec<Record>,
    bytes: usize,
}

impl Page {
    /// Takes a record, unless the page is full; an empty page takes any.
    fn take(&mut self, record: &Record) -> bool {
        let bytes = self.bytes.saturating_add(record.payload.len());
        let is_full = self.records.len() >= self.limit.records || bytes > self.limit.bytes;
        if is_full && !self.records.is_empty() {
            return false;
        }
        self.bytes = bytes;
        self.records.push(record.clone());
        true
    }
}

fn record(message: &BorrowedMessage<'_>) -> Result<Record, EngineError> {
    let time = message.timestamp().to_millis().and_then(|time| u64::try_from(time).ok());
    let (Some(time), Ok(offset)) = (time, u64::try_from(message.offset())) else {
        return Err(unavailable(format!(
            "the record at {} of {} has no time: its topic's `message.timestamp.type` is not LogAppendTime",
            message.offset(),
            message.topic()
        )));
    };
    let payload = Bytes::copy_from_slice(message.payload().unwrap_or_default());
    Ok(Record { offset: Offset(offset), time: UnixMillis(time), payload })
}

fn is_out_of_range(error: &KafkaError) -> bool {
    use rdkafka::types::RDKafkaErrorCode::{AutoOffsetReset, OffsetOutOfRange};
    matches!(error.rdkafka_error_code(), Some(AutoOffsetReset | OffsetOutOfRange))
}
