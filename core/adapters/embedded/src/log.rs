//! The log: records in one keyspace, the newest of each partition in memory.

mod tail;

use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use bytes::Bytes;
use ringside_ports::log::{Append, Bounds, Commit, Position, ReadLimit, Record};
use ringside_ports::{EngineError, Log};
use ringside_types::{Offset, PartitionId, Topic, UnixMillis};
use tokio::sync::watch;
use tokio::time::{Instant, timeout_at};

use crate::engine::counters::Counters;
use crate::engine::{Core, Shared, Work, read_record, unavailable};
use crate::tables::layout::{Reader, stamp_of};
use crate::tables::{ENGINE, Tables, damaged, failed, group_key, record_key, start_key};
use tail::Tail;

/// Bytes of one record at the most.
pub const RECORD_BYTES_MAX: usize = 16 * 1024 * 1024;
/// Bytes of a consumer group's own note at the most.
pub const GROUP_METADATA_BYTES_MAX: usize = 4 * 1024;

/// One partition: where it begins and ends, and its tail. What is here is durable.
pub(crate) struct PartitionLog {
    topic: Topic,
    partition: PartitionId,
    start: AtomicU64,
    /// Where the next record goes. Readers wait for it to move; a `watch` forgets no move.
    end: watch::Sender<Offset>,
    last_time: AtomicU64,
    tail: Mutex<Tail>,
}

impl PartitionLog {
    /// Finds the ends of a partition in the tables.
    pub(crate) fn recover(
        tables: &Tables,
        topic: Topic,
        partition: PartitionId,
        tail_bytes: usize,
    ) -> Result<Self, EngineError> {
        let key = start_key(topic, partition);
        let place = tables.places.get(&key).map_err(failed)?;
        let place =
            place.as_deref().map(|value| read_place(value).ok_or_else(|| damaged(&tables.places, &key)));
        let (start, trimmed_time) = place.transpose()?.unwrap_or((Offset(0), UnixMillis(0)));
        let all = record_key(topic, partition, start)..=record_key(topic, partition, Offset(u64::MAX));
        let (mut end, mut last_time) = (start, trimmed_time);
        if let Some(last) = tables.log.range(all).next_back() {
            let (key, value) = last.into_inner().map_err(failed)?;
            let last = read_record(&key, &value).ok_or_else(|| damaged(&tables.log, &key))?;
            (end, last_time) = (last.offset.next(), last_time.max(last.time));
        }
        Ok(Self {
            topic,
            partition,
            start: AtomicU64::new(start.0),
            end: watch::Sender::new(end),
            last_time: AtomicU64::new(last_time.0),
            tail: Mutex::new(Tail::new(tail_bytes)),
        })
    }

    pub(crate) fn place(&self) -> (Topic, PartitionId) {
        (self.topic, self.partition)
    }

    pub(crate) fn start(&self) -> Offset {
        Offset(self.start.load(Ordering::Acquire))
    }

    pub(crate) fn end(&self) -> Offset {
        *self.end.borrow()
    }

    pub(crate) fn is_empty(&self) -> bool {
        self.start() == self.end()
    }

    /// The log's time of the newest record.
    pub(crate) fn last_time(&self) -> UnixMillis {
        UnixMillis(self.last_time.load(Ordering::Acquire))
    }

    /// Lets readers see records that are durable now. The writer alone calls it.
    pub(crate) fn publish(&self, records: Vec<Record>, time: UnixMillis) {
        let Some(last) = records.last().map(|record| record.offset) else { return };
        let mut tail = self.tail();
        for record in records {
            tail.push(record);
        }
        drop(tail);
        self.last_time.store(time.0, Ordering::Release);
        self.end.send_replace(last.next());
    }

    /// What is below `start` is gone. The writer alone calls it.
    pub(crate) fn begin_at(&self, start: Offset) {
        self.start.store(start.0, Ordering::Release);
        self.tail().trim(start);
    }

    fn tail(&self) -> MutexGuard<'_, Tail> {
        // A panic inside would leave the tail dense and complete: it is changed record by record.
        self.tail.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn below_start(&self, from: Offset) -> EngineError {
        EngineError::Damaged {
            engine: ENGINE,
            cause: format!(
                "offset {from} of {}, partition {}, is gone: the log begins at {}",
                self.topic.name(),
                self.partition,
                self.start()
            ),
        }
    }
}

/// Reads the place where a partition begins, and the time of the newest record when that was written.
fn read_place(value: &[u8]) -> Option<(Offset, UnixMillis)> {
    let (start, mut value) = Reader::value(value)?;
    let time = value.u64()?;
    value.end()?;
    Some((Offset(start), UnixMillis(time)))
}

/// The log of an engine. A clone is another handle.
#[derive(Clone)]
pub struct EmbeddedLog(Arc<Shared>);

impl EmbeddedLog {
    pub(crate) fn new(shared: Arc<Shared>) -> Self {
        Self(shared)
    }
}

impl Log for EmbeddedLog {
    fn partitions(&self, topic: Topic) -> u16 {
        self.0.core.partitions.of(topic)
    }

    async fn append(&self, records: Vec<Append>) -> Result<Vec<Position>, EngineError> {
        check(&self.0.core, &records)?;
        if records.is_empty() {
            return Ok(Vec::new());
        }
        Ok(self.0.submit(Work::Append(records)).await?.positions)
    }

    async fn read(
        &self,
        topic: Topic,
        partition: PartitionId,
        from: Offset,
        limit: ReadLimit,
        wait: Duration,
    ) -> Result<Vec<Record>, EngineError> {
        let core = &self.0.core;
        let log = core.log(topic, partition)?;
        let deadline = Instant::now() + wait;
        let mut ends = log.end.subscribe();
        loop {
            // Marked as seen before it is compared: a move after this line wakes the wait below.
            let end = *ends.borrow_and_update();
            if from < log.start() {
                return Err(log.below_start(from));
            }
            if from < end {
                if let Some(records) = log.tail().read(from, limit) {
                    Counters::add(&core.counters.tail_reads, 1);
                    return Ok(records);
                }
                Counters::add(&core.counters.cold_reads, 1);
                return core.read(move |core| read_cold(core, topic, partition, from..end, limit)).await;
            }
            match timeout_at(deadline, ends.changed()).await {
                Ok(Ok(())) => {}
                Ok(Err(_)) | Err(_) => return Ok(Vec::new()),
            }
        }
    }

    async fn bounds(&self, topic: Topic, partition: PartitionId) -> Result<Bounds, EngineError> {
        let log = self.0.core.log(topic, partition)?;
        // The start first: it never passes an end that is read later.
        let start = log.start();
        Ok(Bounds { start, end: log.end() })
    }

    async fn offset_at(
        &self,
        topic: Topic,
        partition: PartitionId,
        time: UnixMillis,
    ) -> Result<Offset, EngineError> {
        let Bounds { start, end } = self.bounds(topic, partition).await?;
        self.0.core.read(move |core| first_at(core, topic, partition, start..end, time)).await
    }

    async fn commit(
        &self,
        group: &'static str,
        topic: Topic,
        partition: PartitionId,
        commit: Commit,
    ) -> Result<(), EngineError> {
        assert!(commit.metadata.len() <= GROUP_METADATA_BYTES_MAX, "a group's note has at most 4 KiB");
        self.0.core.log(topic, partition)?;
        self.0.submit(Work::Group(group, topic, partition, commit)).await.map(drop)
    }

    async fn committed(
        &self,
        group: &'static str,
        topic: Topic,
        partition: PartitionId,
    ) -> Result<Option<Commit>, EngineError> {
        self.0.core.log(topic, partition)?;
        let read = move |core: &Core| {
            let key = group_key(group, topic, partition);
            let Some(value) = core.tables.places.get(&key).map_err(failed)? else { return Ok(None) };
            let (offset, rest) = Reader::value(&value).ok_or_else(|| damaged(&core.tables.places, &key))?;
            let metadata = Bytes::copy_from_slice(rest.rest());
            Ok(Some(Commit { offset: Offset(offset), metadata }))
        };
        self.0.core.read(read).await
    }
}

impl std::fmt::Debug for EmbeddedLog {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("EmbeddedLog")
    }
}

/// Refuses records that the writer could not take, before they are queued with others'.
pub(crate) fn check(core: &Core, records: &[Append]) -> Result<(), EngineError> {
    for Append { topic, partition, payload } in records {
        core.log(*topic, *partition)?;
        if payload.len() > RECORD_BYTES_MAX {
            let (bytes, name) = (payload.len(), topic.name());
            return Err(unavailable(format!(
                "a record of {bytes} bytes for {name}: {RECORD_BYTES_MAX} at most"
            )));
        }
    }
    Ok(())
}

/// Reads records that the tail no longer holds: some of `range`, from its beginning, without a hole.
fn read_cold(
    core: &Core,
    topic: Topic,
    partition: PartitionId,
    range: std::ops::Range<Offset>,
    limit: ReadLimit,
) -> Result<Vec<Record>, EngineError> {
    let table = &core.tables.log;
    let keys = record_key(topic, partition, range.start)..record_key(topic, partition, range.end);
    let (mut records, mut bytes, mut next) = (Vec::new(), 0, range.start);
    for pair in table.range(keys) {
        let (key, value) = pair.into_inner().map_err(failed)?;
        let record = read_record(&key, &value).ok_or_else(|| damaged(table, &key))?;
        if record.offset != next {
            // Either retention has just passed this place, or something is missing.
            let log = core.log(topic, partition)?;
            let is_gone = records.is_empty() && range.start < log.start();
            return Err(if is_gone { log.below_start(range.start) } else { damaged(table, &key) });
        }
        bytes += record.payload.len();
        if !records.is_empty() && (records.len() >= limit.records || bytes > limit.bytes) {
            return Ok(records);
        }
        next = next.next();
        records.push(record);
    }
    if records.is_empty() {
        return Err(core.log(topic, partition)?.below_start(range.start));
    }
    Ok(records)
}

/// The first offset of `range` whose time is not before `time`: times rise with offsets, so halves are enough.
fn first_at(
    core: &Core,
    topic: Topic,
    partition: PartitionId,
    range: std::ops::Range<Offset>,
    time: UnixMillis,
) -> Result<Offset, EngineError> {
    let table = &core.tables.log;
    let (mut low, mut high) = (range.start.0, range.end.0);
    while low < high {
        let middle = low + (high - low) / 2;
        let key = record_key(topic, partition, Offset(middle));
        let value = table.get(&key).map_err(failed)?;
        let found = value.map(|value| stamp_of(&value).ok_or_else(|| damaged(table, &key))).transpose()?;
        // A record that retention has just removed was before everything that is left.
        if found.is_none_or(|found| found < time.0) {
            low = middle + 1;
        } else {
            high = middle;
        }
    }
    Ok(Offset(low))
}
