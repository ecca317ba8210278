//! A log: durable once it confirms, which it may do late, or not at all.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::task::{Poll, Waker};
use std::time::Duration;

use bytes::Bytes;
use ringside_ports::log::{Append, Bounds, Commit, Position, ReadLimit, Record};
use ringside_ports::{EngineError, Log};
use ringside_types::{Offset, PartitionId, Topic, UnixMillis};
use ringside_wire::records::{Control, control};

use crate::network::{Engine, Network};
use crate::scheduler::ProcessId;
use crate::trace::Lane;

/// The log's own process, whose clock stamps its records.
pub const BROKER: ProcessId = ProcessId(1);
/// Partitions of topics of channels.
pub const PARTITIONS: u16 = 2;
/// Partitions of `messages.receive`, one for each edge that there can be at once.
pub const SLOTS: u16 = 4;

#[derive(Default)]
struct State {
    records: BTreeMap<(Topic, PartitionId), Vec<Record>>,
    commits: BTreeMap<(&'static str, Topic, PartitionId), Commit>,
    /// Readers that wait at a partition's end.
    waiting: BTreeMap<(Topic, PartitionId), Vec<Waker>>,
}

/// The log, from one process.
#[derive(Clone)]
pub struct SimulatedLog {
    pub network: Network,
    state: Arc<Mutex<State>>,
}

impl SimulatedLog {
    pub fn new(network: Network) -> Self {
        Self { network, state: Arc::default() }
    }

    /// The same log, from another process.
    pub fn of(&self, process: ProcessId) -> Self {
        Self { network: self.network.of(process), state: self.state.clone() }
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// How many records a partition holds.
    pub fn end(&self, topic: Topic, partition: PartitionId) -> Offset {
        Offset(self.state().records.get(&(topic, partition)).map_or(0, |records| records.len() as u64))
    }

    /// All records of a topic, partition by partition.
    pub fn records(&self, topic: Topic) -> Vec<Record> {
        let state = self.state();
        let of_topic = state.records.iter().filter(|((of, _), _)| *of == topic);
        of_topic.flat_map(|(_, records)| records.iter().cloned()).collect()
    }

    /// Appends without a network, for what was there before.
    pub fn put(&self, records: Vec<Append>) -> Vec<Position> {
        let scheduler = &self.network.scheduler;
        let time = scheduler.wall(BROKER);
        let mut state = self.state();
        let mut woken = Vec::new();
        let append = |Append { topic, partition, payload }: Append| {
            let records = state.records.entry((topic, partition)).or_default();
            let offset = Offset(records.len() as u64);
            let bytes = payload.len();
            let from = scheduler.lane(self.network.process);
            let what = if is_heartbeat(topic, &payload) { HEARTBEAT } else { topic.name() };
            scheduler.note(from, Lane::Log, None, || format!("{what} {partition} @{offset}: {bytes} bytes"));
            records.push(Record { offset, time, payload });
            woken.extend(state.waiting.remove(&(topic, partition)).unwrap_or_default());
            Position { offset, time }
        };
        let positions = records.into_iter().map(append).collect();
        drop(state);
        woken.into_iter().for_each(Waker::wake);
        positions
    }

    fn found(&self, topic: Topic, partition: PartitionId, from: Offset, limit: ReadLimit) -> Vec<Record> {
        let state = self.state();
        let records = state.records.get(&(topic, partition)).map(Vec::as_slice).unwrap_or_default();
        let (mut bytes, mut found) = (0, Vec::new());
        for record in records.iter().skip(from.0 as usize).take(limit.records) {
            bytes += record.payload.len();
            if bytes > limit.bytes && !found.is_empty() {
                break;
            }
            found.push(record.clone());
        }
        found
    }
}

/// What the trace calls an edge's sign of life.
pub const HEARTBEAT: &str = "heartbeat";

/// Whether a record is an edge's sign of life alone.
pub fn is_heartbeat(topic: Topic, payload: &Bytes) -> bool {
    let decoded = || ringside_wire::decode::<Control>(payload.clone()).ok().and_then(|control| control.body);
    topic == Topic::Control && matches!(decoded(), Some(control::Body::Tick(_)))
}

impl Log for SimulatedLog {
    fn partitions(&self, topic: Topic) -> u16 {
        match topic {
            Topic::MessagesSend | Topic::MessagesStored | Topic::MessagesDead | Topic::MessagesStatus => {
                PARTITIONS
            }
            Topic::MessagesReceive => SLOTS,
            Topic::Control | Topic::Presence => 1,
        }
    }

    async fn append(&self, records: Vec<Append>) -> Result<Vec<Position>, EngineError> {
        self.network.travel(Engine::Log).await?;
        // Partitions are written one after the other, and nothing makes them one.
        let mut positions = Vec::with_capacity(records.len());
        let mut last = None;
        for record in records {
            let place = (record.topic, record.partition);
            if last.replace(place).is_some_and(|last| last != place) {
                let scheduler = &self.network.scheduler;
                scheduler.sleep(scheduler.draw_us(0..500)).await;
            }
            positions.extend(self.put(vec![record]));
        }
        self.network.travel(Engine::Log).await?;
        Ok(positions)
    }

    async fn read(
        &self,
        topic: Topic,
        partition: PartitionId,
        from: Offset,
        limit: ReadLimit,
        wait: Duration,
    ) -> Result<Vec<Record>, EngineError> {
        self.network.travel(Engine::Log).await?;
        let scheduler = &self.network.scheduler;
        let until = scheduler.now() + wait;
        // Not always all that there is.
        let records = 1 + scheduler.draw(limit.records.min(64) as u64) as usize;
        let limit = ReadLimit { records, ..limit };
        let found = std::future::poll_fn(|context| {
            let found = self.found(topic, partition, from, limit);
            if !found.is_empty() || scheduler.poll_timer(until, context).is_ready() {
                return Poll::Ready(found);
            }
            self.state().waiting.entry((topic, partition)).or_default().push(context.waker().clone());
            Poll::Pending
        });
        let found = found.await;
        self.network.travel(Engine::Log).await?;
        Ok(found)
    }

    async fn bounds(&self, topic: Topic, partition: PartitionId) -> Result<Bounds, EngineError> {
        self.network.travel(Engine::Log).await?;
        Ok(Bounds { start: Offset(0), end: self.end(topic, partition) })
    }

    async fn offset_at(
        &self,
        topic: Topic,
        partition: PartitionId,
        time: UnixMillis,
    ) -> Result<Offset, EngineError> {
        self.network.travel(Engine::Log).await?;
        let state = self.state();
        let records = state.records.get(&(topic, partition)).map(Vec::as_slice).unwrap_or_default();
        Ok(Offset(records.iter().take_while(|record| record.time < time).count() as u64))
    }

    async fn commit(
        &self,
        group: &'static str,
        topic: Topic,
        partition: PartitionId,
        commit: Commit,
    ) -> Result<(), EngineError> {
        self.network.travel(Engine::Log).await?;
        self.state().commits.insert((group, topic, partition), commit);
        self.network.travel(Engine::Log).await
    }

    async fn committed(
        &self,
        group: &'static str,
        topic: Topic,
        partition: PartitionId,
    ) -> Result<Option<Commit>, EngineError> {
        self.network.travel(Engine::Log).await?;
        Ok(self.state().commits.get(&(group, topic, partition)).cloned())
    }
}
