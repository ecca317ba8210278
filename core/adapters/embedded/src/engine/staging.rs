//! One batch for the store in the making: each row once, the later stamp winning.

use std::collections::HashMap;
use std::collections::hash_map::Entry;

use bytes::Bytes;
use fjall::{Keyspace, OwnedWriteBatch};
use ringside_domain::rows::{HeadRow, Progress, Rows};
use ringside_ports::EngineError;
use ringside_ports::commit::CommitBatch;
use ringside_ports::log::{Append, Commit, Position, Record};
use ringside_types::{Offset, PartitionId, Topic, UnixMillis, partition_of};

use super::counters::Counters;
use super::{Core, Done, StoreWork};
use crate::config::Partitions;
use crate::tables::amendments::ReplyRow;
use crate::tables::layout::{Builder, Reader, stamp_of};
use crate::tables::rows::{ChangeOfRecord, Row, SlotOf, highest_key, interest_key};
use crate::tables::{Tables, damaged, failed, group_key, record_key, start_key};

/// Records that one trim removes at the most.
pub(crate) const TRIM_RECORDS_MAX: usize = 256;

/// A row to write: `None` deletes it.
struct Write {
    table: Keyspace,
    rank: u64,
    value: Option<Vec<u8>>,
}

/// What a batch adds to a partition of the log.
struct Added {
    next: Offset,
    time: UnixMillis,
    records: Vec<Record>,
}

/// A batch in the making.
pub(super) struct Staging<'a> {
    core: &'a Core,
    batch: OwnedWriteBatch,
    /// By table and key. All of a batch has one sequence number in the database, so a key must not be in it twice.
    rows: HashMap<(u64, Vec<u8>), Write>,
    added: HashMap<(Topic, PartitionId), Added>,
    starts: Vec<(Topic, PartitionId, Offset)>,
    highest: &'a mut Highest,
    /// As `highest`, with what this batch writes.
    raised: Vec<u64>,
    stale: u64,
}

/// The highest stamp ever written to a row of each partition's channels. A row with a higher one is the latest without
/// looking: that is every row of a processor that is not replaying, so the store is read only where it matters.
pub(super) struct Highest(Vec<u64>);

impl Highest {
    pub(super) fn read(tables: &Tables, partitions: Partitions) -> Result<Self, EngineError> {
        let table = &tables.partitions;
        let of = |number| {
            let key = highest_key(PartitionId(number));
            let value = table.get(&key).map_err(failed)?;
            value.map_or(Ok(0), |value| stamp_of(&value).ok_or_else(|| damaged(table, &key)))
        };
        (0..partitions.messages).map(of).collect::<Result<_, _>>().map(Self)
    }
}

impl<'a> Staging<'a> {
    pub(super) fn new(core: &'a Core, highest: &'a mut Highest) -> Self {
        let batch = core.tables.database.batch();
        let raised = highest.0.clone();
        let (rows, added, starts) = (HashMap::new(), HashMap::new(), Vec::new());
        Self { core, batch, rows, added, starts, highest, raised, stale: 0 }
    }

    /// Takes up one request. After an error the batch must be dropped.
    pub(super) fn stage(&mut self, work: StoreWork) -> Result<Done, EngineError> {
        match work {
            StoreWork::Append(records) => {
                return Ok(Done { positions: self.append(records)?, ..Done::default() });
            }
            StoreWork::Trim(topic, partition, before) => {
                let trimmed = self.trim(topic, partition, before)? as u64;
                return Ok(Done { trimmed, ..Done::default() });
            }
            StoreWork::Commit(batch) => self.commit(*batch)?,
            StoreWork::Rows(partition, rows) => self.rows(partition, &rows)?,
            StoreWork::Heads(heads) => self.heads(&heads)?,
            StoreWork::Progress(progress) => self.progress(&progress)?,
            StoreWork::Group(group, topic, partition, commit) => self.group(group, topic, partition, &commit),
        }
        Ok(Done::default())
    }

    /// Writes the batch, and lets readers see it.
    pub(super) fn write(mut self) -> Result<(), EngineError> {
        let raised = self.highest.0.iter().zip(&self.raised).zip(0..);
        let raised: Vec<_> =
            raised.filter(|((old, new), _)| old < new).map(|((_, new), number)| (number, *new)).collect();
        for (number, stamp) in raised {
            let value = Some(Builder::value(stamp, 0).done());
            self.force(&self.core.tables.partitions, highest_key(PartitionId(number)), value);
        }
        let rows = self.rows.len() as u64;
        for ((_, key), Write { table, value, .. }) in self.rows {
            match value {
                Some(value) => self.batch.insert(&table, key, value),
                None => self.batch.remove(&table, key),
            }
        }
        self.batch.commit().map_err(failed)?;
        self.highest.0 = self.raised;
        let counters = &self.core.counters;
        Counters::add(&counters.rows, rows);
        Counters::add(&counters.stale_rows, self.stale);
        for ((topic, partition), added) in self.added {
            let bytes = added.records.iter().map(|record| record.payload.len() as u64).sum();
            Counters::add(&counters.records, added.records.len() as u64);
            Counters::add(&counters.record_bytes, bytes);
            self.core.log(topic, partition)?.publish(added.records);
        }
        for (topic, partition, start) in self.starts {
            let log = self.core.log(topic, partition)?;
            Counters::add(&counters.trimmed, start.0 - log.start().0);
            log.begin_at(start);
        }
        Ok(())
    }

    fn append(&mut self, records: Vec<Append>) -> Result<Vec<Position>, EngineError> {
        let now = self.core.config.clock.now();
        let mut positions = Vec::with_capacity(records.len());
        for Append { topic, partition, payload } in records {
            let added = match self.added.entry((topic, partition)) {
                Entry::Occupied(added) => added.into_mut(),
                Entry::Vacant(place) => {
                    let log = self.core.log(topic, partition)?;
                    place.insert(Added { next: log.end(), time: log.last_time(), records: Vec::new() })
                }
            };
            // The log's time never steps back, whatever the clock does.
            added.time = added.time.max(now);
            let (offset, time) = (added.next, added.time);
            added.next = offset.next();
            let value = Builder::value(time.0, payload.len()).raw(&payload).done();
            self.batch.insert(&self.core.tables.derived, record_key(topic, partition, offset), value);
            added.records.push(Record { offset, time, payload });
            positions.push(Position { offset, time });
        }
        Ok(positions)
    }

    fn commit(&mut self, batch: CommitBatch) -> Result<(), EngineError> {
        self.rows(batch.partition, &batch.rows)?;
        self.append(batch.outside)?;
        self.heads(&batch.heads)?;
        self.progress(&batch.progress)
    }

    fn rows(&mut self, partition: PartitionId, rows: &Rows) -> Result<(), EngineError> {
        let tables = &self.core.tables;
        for (channel, slot, epoch) in &rows.void_interest {
            self.force(&tables.interest, interest_key(*channel, *slot, *epoch), None);
        }
        for row in &rows.messages {
            self.put(&tables.messages, row)?;
            if let Some(reply) = ReplyRow::of(row) {
                self.put(&tables.replies, &reply)?;
            }
        }
        for row in &rows.reactions {
            self.put(&tables.reactions, row)?;
        }
        for row in &rows.pins {
            self.put(&tables.pins, row)?;
        }
        for row in &rows.changes {
            let (channel_id, record_id) = (row.channel_id, row.record_id);
            let of_record = ChangeOfRecord { channel_id, record_id, change: row.change, stamp: row.stamp };
            self.put(&tables.changes, row)?;
            self.put(&tables.change_of_record, &of_record)?;
        }
        for row in &rows.memberships {
            self.put(&tables.members, row)?;
        }
        for row in &rows.settings {
            self.put(&tables.settings, row)?;
        }
        for row in &rows.keys {
            self.put(&tables.keys, row)?;
        }
        for row in &rows.interest {
            self.put(&tables.interest, row)?;
        }
        for row in &rows.slots {
            self.put(&tables.partitions, &SlotOf { partition, row: *row })?;
        }
        for row in &rows.reads {
            self.put(&tables.reads, row)?;
        }
        for row in &rows.delivered {
            self.put(&tables.delivered, row)?;
        }
        Ok(())
    }

    fn heads(&mut self, heads: &[HeadRow]) -> Result<(), EngineError> {
        heads.iter().try_for_each(|row| self.put(&self.core.tables.heads, row))
    }

    fn progress(&mut self, progress: &Progress) -> Result<(), EngineError> {
        self.put(&self.core.tables.partitions, progress)
    }

    fn group(&mut self, group: &str, topic: Topic, partition: PartitionId, commit: &Commit) {
        let value = Builder::value(commit.offset.0, commit.metadata.len()).raw(&commit.metadata).done();
        self.force(&self.core.tables.places, group_key(group, topic, partition), Some(value));
    }

    /// Removes the oldest records, as far as they were appended before `before`.
    fn trim(
        &mut self,
        topic: Topic,
        partition: PartitionId,
        before: UnixMillis,
    ) -> Result<usize, EngineError> {
        let tables = &self.core.tables;
        let log = self.core.log(topic, partition)?;
        let start = log.start();
        let mut next = start;
        let keys = record_key(topic, partition, start)..record_key(topic, partition, log.end());
        for pair in tables.derived.range(keys).take(TRIM_RECORDS_MAX) {
            let (key, value) = pair.into_inner().map_err(failed)?;
            let time = stamp_of(&value).ok_or_else(|| damaged(&tables.derived, &key))?;
            if time >= before.0 {
                break;
            }
            next = next.next();
            self.batch.remove(&tables.derived, key);
        }
        let trimmed = (next.0 - start.0) as usize;
        if trimmed > 0 {
            // The time is kept as well, so that an empty partition's clock doesn't step back after a restart.
            let value = Builder::value(next.0, 8).u64(log.last_time().0).done();
            self.force(&tables.places, start_key(topic, partition), Some(value));
            self.starts.push((topic, partition, next));
        }
        Ok(trimmed)
    }

    /// Writes a row unless a later one is there.
    fn put<R: Row>(&mut self, table: &Keyspace, row: &R) -> Result<(), EngineError> {
        let rank = row.rank();
        let mut is_latest = false;
        if let Some(channel) = row.stamped_by() {
            let partition = usize::from(partition_of(channel, self.core.partitions.messages).0);
            is_latest = rank > self.highest.0[partition];
            self.raised[partition] = self.raised[partition].max(rank);
        }
        match self.rows.entry((table.id(), row.key())) {
            Entry::Occupied(mut known) => {
                let known = known.get_mut();
                if known.value.is_some() && known.rank > rank {
                    self.stale += 1;
                } else {
                    (known.rank, known.value) = (rank, Some(row.value()));
                }
            }
            Entry::Vacant(place) => {
                let (_, key) = place.key();
                let known = if is_latest { None } else { table.get(key).map_err(failed)? };
                let known = known.map(|value| stamp_of(&value).ok_or_else(|| damaged(table, key)));
                if known.transpose()?.is_some_and(|known| known > rank) {
                    self.stale += 1;
                } else {
                    place.insert(Write { table: table.clone(), rank, value: Some(row.value()) });
                }
            }
        }
        Ok(())
    }

    /// Writes or deletes whatever is there.
    fn force(&mut self, table: &Keyspace, key: Vec<u8>, value: Option<Vec<u8>>) {
        self.rows.insert((table.id(), key), Write { table: table.clone(), rank: 0, value });
    }
}

/// Reads a record of the log back; `None`: damaged.
pub(crate) fn read_record(key: &[u8], value: &[u8]) -> Option<Record> {
    let mut key = Reader::key(key);
    let (_topic, _partition, offset) = (key.u8()?, key.u16()?, key.u64()?);
    key.end()?;
    let (time, value) = Reader::value(value)?;
    let payload = Bytes::copy_from_slice(value.rest());
    Some(Record { offset: Offset(offset), time: UnixMillis(time), payload })
}
