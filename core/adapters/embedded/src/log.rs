//! The log: its newest records in memory, the others in segments, in the store, or nowhere, by topic.

mod tail;

use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use bytes::Bytes;
use fjall::Keyspace;
use ringside_ports::log::{
    Append, Bounds, COMMIT_METADATA_BYTES_MAX, Commit, Position, RECORD_BYTES_MAX, ReadLimit, Record,
};
use ringside_ports::{EngineError, Log};
use ringside_segments::{End, Folder, LogError, Stream, Writer};
use ringside_types::{Offset, PartitionId, Topic, UnixMillis};
use tokio::sync::watch;
use tokio::time::{Instant, timeout_at};

use crate::config::{Keeping, keeping};
use crate::engine::counters::Counters;
use crate::engine::{Core, LogWork, Shared, StoreWork, read_record, unavailable};
use crate::tables::layout::{Reader, stamp_of};
use crate::tables::{ENGINE, Tables, damaged, failed, group_key, record_key, start_key};
use tail::Tail;

/// Bytes that a partition in memory keeps for a reader that is slow,
const MEMORY_BYTES_MAX: usize = 64 * 1024 * 1024;
/// and for how long it does. An edge that is further behind has lost its lease long ago.
const MEMORY_KEPT_MS: u64 = 5_000;
/// So much it keeps in any case.
const MEMORY_BYTES_KEPT: usize = 256 * 1024;

/// One partition: where it begins and ends, and its tail. What is here may be read.
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
    fn new(topic: Topic, partition: PartitionId, start: Offset, end: End, tail_bytes: usize) -> Self {
        Self {
            topic,
            partition,
            start: AtomicU64::new(start.0),
            end: watch::Sender::new(end.next),
            last_time: AtomicU64::new(end.time.0),
            tail: Mutex::new(Tail::new(tail_bytes)),
        }
    }

    /// One that is kept in segments.
    pub(crate) fn of_segments(
        writer: &Writer<Folder>,
        topic: Topic,
        partition: PartitionId,
        tail_bytes: usize,
    ) -> Self {
        let stream = Stream { topic, partition };
        Self::new(topic, partition, writer.reader().start(stream), writer.end(stream), tail_bytes)
    }

    /// One that is kept in the store.
    pub(crate) fn of_store(
        tables: &Tables,
        topic: Topic,
        partition: PartitionId,
        tail_bytes: usize,
    ) -> Result<Self, EngineError> {
        let (start, end) = bounds_in(tables, &tables.derived, topic, partition)?;
        Ok(Self::new(topic, partition, start, end, tail_bytes))
    }

    /// One that is kept nowhere else.
    pub(crate) fn in_memory(topic: Topic, partition: PartitionId) -> Self {
        Self::new(topic, partition, Offset(0), End::default(), MEMORY_BYTES_MAX)
    }

    pub(crate) fn is_in_segments(&self) -> bool {
        keeping(self.topic) == Keeping::Segments
    }

    pub(crate) fn is_in_store(&self) -> bool {
        keeping(self.topic) == Keeping::Store
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

    /// Lets readers see records, and wakes them. Whoever writes the partition calls it, one at a time.
    pub(crate) fn publish(&self, records: Vec<Record>) {
        self.show(records);
        self.wake();
    }

    /// Wakes those who wait for records.
    pub(crate) fn wake(&self) {
        self.end.send_modify(|_| {});
    }

    /// Lets readers see records, and wakes nobody.
    pub(crate) fn show(&self, records: Vec<Record>) {
        let Some((last, time)) = records.last().map(|record| (record.offset, record.time)) else { return };
        let mut tail = self.tail();
        for record in records {
            tail.push(record);
        }
        drop(tail);
        self.last_time.store(time.0, Ordering::Release);
        self.end.send_if_modified(|end| {
            *end = last.next();
            false
        });
    }

    /// Appends to a partition in memory, and lets readers see it.
    fn append_in_memory(&self, now: UnixMillis, payload: Bytes) -> Position {
        let mut tail = self.tail();
        let (offset, time) = (self.end(), self.last_time().max(now));
        tail.push(Record { offset, time, payload });
        let kept_from = tail.drop_before(UnixMillis(now.0.saturating_sub(MEMORY_KEPT_MS)), MEMORY_BYTES_KEPT);
        self.start.store(kept_from.unwrap_or(offset.next()).0, Ordering::Release);
        self.last_time.store(time.0, Ordering::Release);
        // Within the lock: the next one's offset is this one's successor.
        self.end.send_replace(offset.next());
        Position { offset, time }
    }

    /// What is below `start` is gone. Whoever writes the partition calls it.
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

/// Where a partition that is kept in a table begins and ends.
pub(crate) fn bounds_in(
    tables: &Tables,
    table: &Keyspace,
    topic: Topic,
    partition: PartitionId,
) -> Result<(Offset, End), EngineError> {
    let key = start_key(topic, partition);
    let place = tables.places.get(&key).map_err(failed)?;
    let place = place.as_deref().map(|value| read_place(value).ok_or_else(|| damaged(&tables.places, &key)));
    let (start, mut time) = place.transpose()?.unwrap_or((Offset(0), UnixMillis(0)));
    let all = record_key(topic, partition, start)..=record_key(topic, partition, Offset(u64::MAX));
    let mut next = start;
    if let Some(last) = table.range(all).next_back() {
        let (key, value) = last.into_inner().map_err(failed)?;
        let last = read_record(&key, &value).ok_or_else(|| damaged(table, &key))?;
        (next, time) = (last.offset.next(), time.max(last.time));
    }
    Ok((start, End { next, time }))
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
        append(&self.0, records).await
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
                let range = from..end;
                return match keeping(topic) {
                    Keeping::Segments => {
                        core.read(move |core| read_segments(core, topic, partition, range, limit)).await
                    }
                    Keeping::Store => {
                        core.read(move |core| read_store(core, topic, partition, range, limit)).await
                    }
                    // It has gone since it was compared with the start.
                    Keeping::Memory => Err(log.below_start(from)),
                };
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
        match keeping(topic) {
            Keeping::Segments => {
                let stream = Stream { topic, partition };
                let find = move |core: &Core| core.segments.at_time(stream, time).map_err(of_segments);
                Ok(self.0.core.read(find).await?.map_or(end, |found| found.min(end)))
            }
            Keeping::Store => {
                self.0.core.read(move |core| first_at(core, topic, partition, start..end, time)).await
            }
            Keeping::Memory => Ok(self.0.core.log(topic, partition)?.tail().at_time(time).unwrap_or(end)),
        }
    }

    async fn commit(
        &self,
        group: &'static str,
        topic: Topic,
        partition: PartitionId,
        commit: Commit,
    ) -> Result<(), EngineError> {
        assert!(commit.metadata.len() <= COMMIT_METADATA_BYTES_MAX, "a group's note has at most 3 KiB");
        self.0.core.log(topic, partition)?;
        self.0.core.write(StoreWork::Group(group, topic, partition, commit)).map(drop)
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
            let mut offset = Offset(offset);
            if keeping(topic) == Keeping::Memory {
                // It began anew with the process.
                offset = offset.min(core.log(topic, partition)?.end());
            }
            Ok(Some(Commit { offset, metadata }))
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

/// Appends records, each where its topic is kept; the positions are in the order of the records.
pub(crate) async fn append(shared: &Shared, records: Vec<Append>) -> Result<Vec<Position>, EngineError> {
    let Some(first) = records.first() else { return Ok(Vec::new()) };
    let first = keeping(first.topic);
    if records.iter().all(|record| keeping(record.topic) == first) {
        return append_alike(shared, first, records).await;
    }
    let mut positions = Vec::with_capacity(records.len());
    let mut alike: Vec<Append> = Vec::new();
    for record in records {
        if alike.last().is_some_and(|last| keeping(last.topic) != keeping(record.topic)) {
            let run = std::mem::take(&mut alike);
            positions.extend(append_alike(shared, keeping(run[0].topic), run).await?);
        }
        alike.push(record);
    }
    if let Some(last) = alike.last() {
        positions.extend(append_alike(shared, keeping(last.topic), alike).await?);
    }
    Ok(positions)
}

async fn append_alike(
    shared: &Shared,
    keeping: Keeping,
    records: Vec<Append>,
) -> Result<Vec<Position>, EngineError> {
    let core = &shared.core;
    match keeping {
        Keeping::Segments => Ok(shared.submit(LogWork::Append(records)).await?.positions),
        Keeping::Store => {
            let done = core.write(StoreWork::Append(records))?;
            core.persist()?;
            Ok(done.positions)
        }
        Keeping::Memory => {
            let now = core.config.clock.now();
            let append = |Append { topic, partition, payload }: Append| {
                Counters::add(&core.counters.records, 1);
                Counters::add(&core.counters.record_bytes, payload.len() as u64);
                Ok(core.log(topic, partition)?.append_in_memory(now, payload))
            };
            records.into_iter().map(append).collect()
        }
    }
}

/// What went wrong in the segments.
#[expect(clippy::needless_pass_by_value, reason = "it is what `map_err` hands over")]
fn of_segments(error: LogError) -> EngineError {
    match error {
        LogError::Damaged(_) | LogError::BelowStart { .. } => {
            EngineError::Damaged { engine: ENGINE, cause: error.to_string() }
        }
        LogError::Refused(_) | LogError::Failed(_) => unavailable(error.to_string()),
    }
}

/// Reads records that the tail no longer holds.
fn read_segments(
    core: &Core,
    topic: Topic,
    partition: PartitionId,
    range: std::ops::Range<Offset>,
    limit: ReadLimit,
) -> Result<Vec<Record>, EngineError> {
    let limits = (limit.records, limit.bytes);
    let read = core.segments.read(Stream { topic, partition }, range.start, range.end, limits);
    let records: Vec<Record> = read
        .map_err(of_segments)?
        .into_iter()
        .map(|found| Record { offset: found.offset, time: found.time, payload: found.payload })
        .collect();
    if records.is_empty() {
        let cause = format!("offset {} of {}, partition {partition}, is missing", range.start, topic.name());
        return Err(EngineError::Damaged { engine: ENGINE, cause });
    }
    Ok(records)
}

/// Reads records that the tail no longer holds: some of `range`, from its beginning, without a hole.
fn read_store(
    core: &Core,
    topic: Topic,
    partition: PartitionId,
    range: std::ops::Range<Offset>,
    limit: ReadLimit,
) -> Result<Vec<Record>, EngineError> {
    let table = &core.tables.derived;
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
    let table = &core.tables.derived;
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
