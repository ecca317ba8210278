//! A log and a store in memory that are not atomic with one another, and that can crash before any write.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, MutexGuard};
use std::time::Duration;

use ringside_domain::rows::{
    ChangeRow, HeadRow, InterestRow, KeyRow, MembershipRow, MessageRow, PinRow, Prefetch, Prefetched,
    Progress, ReactionRow, ReadRow, Rows, SettingsRow, SlotRow,
};
use ringside_ports::log::{Append, Bounds, Commit, Position, ReadLimit, Record};
use ringside_ports::store::{ChangeRange, MessageRange, Order, PartitionRows};
use ringside_ports::{ChannelReader, EngineError, Log, PartitionStore};
use ringside_types::{
    ChannelId, ClientId, Epoch, MessageId, Offset, PartitionId, Slot, Topic, UnixMillis, UserId,
};

pub type Tables = BTreeMap<String, String>;

#[derive(Default)]
struct FakeCluster {
    log: BTreeMap<(Topic, PartitionId), Vec<Record>>,
    commits: BTreeMap<PartitionId, Commit>,
    messages: BTreeMap<(ChannelId, MessageId), MessageRow>,
    changes: BTreeMap<(ChannelId, u64), ChangeRow>,
    heads: BTreeMap<ChannelId, HeadRow>,
    members: BTreeMap<(ChannelId, UserId, MessageId), MembershipRow>,
    settings: BTreeMap<(ChannelId, MessageId), SettingsRow>,
    interest: BTreeMap<(ChannelId, Slot, Epoch), InterestRow>,
    slots: BTreeMap<Slot, SlotRow>,
    keys: BTreeMap<(ChannelId, UserId, ClientId), KeyRow>,
    reads: BTreeMap<(UserId, ChannelId), ReadRow>,
    reactions: BTreeMap<(MessageId, String, UserId, MessageId), ReactionRow>,
    pins: BTreeMap<(MessageId, MessageId), PinRow>,
    progress: Option<Progress>,
    time: UnixMillis,
    writes_before_crash: Option<usize>,
}

/// Both engines; a clone is another client of the same ones.
#[derive(Clone)]
pub struct Memory {
    cluster: Arc<Mutex<FakeCluster>>,
    batch: usize,
}

/// Writes a row unless a later record wrote it.
macro_rules! put {
    ($table:expr, $key:expr, $row:expr) => {{
        let (key, row) = ($key, $row);
        match $table.get(&key) {
            Some(other) if other.stamp > row.stamp => {}
            _ => drop($table.insert(key, row)),
        }
    }};
}

impl Memory {
    pub fn new(time: UnixMillis, batch: usize) -> Self {
        let cluster = FakeCluster { time, ..FakeCluster::default() };
        Self { cluster: Arc::new(Mutex::new(cluster)), batch }
    }

    fn cluster(&self) -> MutexGuard<'_, FakeCluster> {
        self.cluster.lock().expect("no test panics while it holds the cluster")
    }

    /// The next `writes` writes succeed, and none after them until `restart`.
    pub fn crash_after(&self, writes: usize) {
        self.cluster().writes_before_crash = Some(writes);
    }

    pub fn restart(&self) {
        self.cluster().writes_before_crash = None;
    }

    /// The log's clock goes on by `ms`, or back.
    pub fn advance(&self, ms: i64) {
        let mut cluster = self.cluster();
        cluster.time = UnixMillis(cluster.time.0.saturating_add_signed(ms));
    }

    pub fn records(&self, topic: Topic, partition: PartitionId) -> Vec<Record> {
        self.cluster().log.get(&(topic, partition)).cloned().unwrap_or_default()
    }

    /// Every row, but for interest of epochs that are over: whether it has been deleted yet is a matter of reading.
    pub fn tables(&self) -> Tables {
        let cluster = self.cluster();
        let mut tables = Tables::new();
        let mut put = |name: &str, rows: String| drop(tables.insert(name.to_owned(), rows));
        let current =
            |row: &&InterestRow| cluster.slots.get(&row.slot).is_none_or(|slot| row.epoch >= slot.epoch);
        put("messages", format!("{:#?}", cluster.messages));
        put("changes", format!("{:#?}", cluster.changes));
        put("heads", format!("{:#?}", cluster.heads));
        put("members", format!("{:#?}", cluster.members));
        put("settings", format!("{:#?}", cluster.settings));
        put("interest", format!("{:#?}", cluster.interest.values().filter(current).collect::<Vec<_>>()));
        put("slots", format!("{:#?}", cluster.slots));
        put("keys", format!("{:#?}", cluster.keys));
        put("reads", format!("{:#?}", cluster.reads));
        put("progress", format!("{:#?}", cluster.progress));
        tables
    }
}

impl FakeCluster {
    fn messages(&self, range: MessageRange) -> Vec<MessageRow> {
        let inside = |row: &&MessageRow| {
            row.channel_id == range.channel_id
                && row.message_id > range.after
                && row.message_id < range.before
        };
        let mut rows: Vec<MessageRow> = self.messages.values().filter(inside).cloned().collect();
        if range.order == Order::NewestFirst {
            rows.reverse();
        }
        rows.truncate(range.limit);
        rows
    }

    fn changes(&self, range: ChangeRange) -> Vec<ChangeRow> {
        let keys = (range.channel_id, range.after + 1)..=(range.channel_id, range.up_to.max(range.after + 1));
        let rows = self.changes.range(keys).map(|(_, row)| row).filter(|row| row.change <= range.up_to);
        rows.take(range.limit).cloned().collect()
    }

    fn may_write(&mut self) -> Result<(), EngineError> {
        match &mut self.writes_before_crash {
            Some(0) => Err(EngineError::Unavailable { engine: "memory", cause: "crashed".into() }),
            Some(left) => {
                *left -= 1;
                Ok(())
            }
            None => Ok(()),
        }
    }
}

impl Log for Memory {
    fn partitions(&self, _: Topic) -> u16 {
        1
    }

    async fn append(&self, records: Vec<Append>) -> Result<Vec<Position>, EngineError> {
        let mut cluster = self.cluster();
        cluster.may_write()?;
        let time = cluster.time;
        let mut append = |Append { topic, partition, payload }| {
            let records = cluster.log.entry((topic, partition)).or_default();
            let offset = Offset(records.len() as u64);
            records.push(Record { offset, time, payload });
            Position { offset, time }
        };
        Ok(records.into_iter().map(&mut append).collect())
    }

    async fn read(
        &self,
        topic: Topic,
        partition: PartitionId,
        from: Offset,
        limit: ReadLimit,
        _: Duration,
    ) -> Result<Vec<Record>, EngineError> {
        let records = self.records(topic, partition).into_iter();
        Ok(records.skip(from.0 as usize).take(limit.records.min(self.batch)).collect())
    }

    async fn bounds(&self, topic: Topic, partition: PartitionId) -> Result<Bounds, EngineError> {
        Ok(Bounds { start: Offset(0), end: Offset(self.records(topic, partition).len() as u64) })
    }

    async fn offset_at(&self, topic: Topic, p: PartitionId, time: UnixMillis) -> Result<Offset, EngineError> {
        let before = self.records(topic, p).into_iter().take_while(|record| record.time < time);
        Ok(Offset(before.count() as u64))
    }

    async fn commit(
        &self,
        _: &'static str,
        _: Topic,
        p: PartitionId,
        commit: Commit,
    ) -> Result<(), EngineError> {
        let mut cluster = self.cluster();
        cluster.may_write()?;
        cluster.commits.insert(p, commit);
        Ok(())
    }

    async fn committed(
        &self,
        _: &'static str,
        _: Topic,
        p: PartitionId,
    ) -> Result<Option<Commit>, EngineError> {
        Ok(self.cluster().commits.get(&p).cloned())
    }
}

impl ChannelReader for Memory {
    async fn load(&self, wanted: &Prefetch) -> Result<Prefetched, EngineError> {
        let cluster = self.cluster();
        let of = |channel: &ChannelId| wanted.channels.contains(channel);
        let key = |row: &&KeyRow| wanted.keys.contains(&row.key);
        Ok(Prefetched {
            heads: cluster.heads.values().filter(|row| of(&row.channel_id)).copied().collect(),
            interest: cluster
                .interest
                .values()
                .filter(|row| wanted.interest.contains(&row.channel_id))
                .copied()
                .collect(),
            settings: cluster.settings.values().filter(|row| of(&row.channel_id)).copied().collect(),
            members: cluster
                .members
                .values()
                .filter(|row| wanted.members.contains(&(row.channel_id, row.user_id)))
                .cloned()
                .collect(),
            keys: cluster.keys.values().filter(key).copied().collect(),
            messages: wanted
                .records
                .iter()
                .filter_map(|record| cluster.messages.get(record).cloned())
                .collect(),
            changes: cluster
                .changes
                .values()
                .filter(|row| wanted.records.contains(&(row.channel_id, row.record_id)))
                .cloned()
                .collect(),
            reads: (wanted.reads.iter().filter_map(|key| cluster.reads.get(key)))
                .chain(cluster.reads.values().filter(|row| wanted.reads_of.contains(&row.user_id)))
                .copied()
                .collect(),
            // No processor writes them.
            delivered: Vec::new(),
            reactions: cluster
                .reactions
                .values()
                .filter(|row| {
                    let ReactionRow { channel_id, message_id, .. } = **row;
                    let mut reacted = wanted.reacted.iter();
                    wanted.reactions.contains(&(channel_id, message_id, row.emoji.clone()))
                        || reacted.any(|(of, first, last)| {
                            *of == channel_id && (*first..=*last).contains(&message_id)
                        })
                })
                .cloned()
                .collect(),
            pins: cluster
                .pins
                .values()
                .filter(|row| {
                    wanted.pins.contains(&(row.channel_id, row.message_id))
                        || wanted.pinned.contains(&row.channel_id)
                })
                .copied()
                .collect(),
        })
    }

    async fn messages(&self, ranges: &[MessageRange]) -> Result<Vec<Vec<MessageRow>>, EngineError> {
        Ok(ranges.iter().map(|range| self.cluster().messages(*range)).collect())
    }

    async fn replies(&self, to: MessageId, range: MessageRange) -> Result<Vec<MessageRow>, EngineError> {
        let all = self.cluster().messages(MessageRange { limit: usize::MAX, ..range });
        Ok(all.into_iter().filter(|row| row.reply_to == to).take(range.limit).collect())
    }

    async fn changes(&self, ranges: &[ChangeRange]) -> Result<Vec<Vec<ChangeRow>>, EngineError> {
        Ok(ranges.iter().map(|range| self.cluster().changes(*range)).collect())
    }
}

impl PartitionStore for Memory {
    async fn partition(&self, _: PartitionId) -> Result<PartitionRows, EngineError> {
        let cluster = self.cluster();
        Ok(PartitionRows { progress: cluster.progress, slots: cluster.slots.values().copied().collect() })
    }

    async fn prefetch(&self, wanted: &Prefetch) -> Result<Prefetched, EngineError> {
        self.load(wanted).await
    }

    async fn write_rows(&self, _: PartitionId, rows: &Rows) -> Result<(), EngineError> {
        let mut cluster = self.cluster();
        cluster.may_write()?;
        for key in &rows.void_interest {
            cluster.interest.remove(key);
        }
        for row in rows.messages.iter().cloned() {
            put!(cluster.messages, (row.channel_id, row.message_id), row);
        }
        for row in rows.changes.iter().cloned() {
            put!(cluster.changes, (row.channel_id, row.change), row);
        }
        for row in rows.memberships.iter().cloned() {
            put!(cluster.members, (row.channel_id, row.user_id, row.from_id), row);
        }
        for row in rows.settings.iter().copied() {
            put!(cluster.settings, (row.channel_id, row.from_id), row);
        }
        for row in rows.reactions.iter().cloned() {
            put!(cluster.reactions, (row.message_id, row.emoji.clone(), row.user_id, row.from_id), row);
        }
        for row in rows.pins.iter().copied() {
            put!(cluster.pins, (row.message_id, row.from_id), row);
        }
        for row in rows.keys.iter().copied() {
            put!(cluster.keys, (row.key.channel_id, row.key.sender_id, row.key.client_id), row);
        }
        for row in rows.interest.iter().copied() {
            put!(cluster.interest, (row.channel_id, row.slot, row.epoch), row);
        }
        for row in rows.slots.iter().copied() {
            put!(cluster.slots, row.slot, row);
        }
        for row in &rows.reads {
            let known = cluster.reads.entry((row.user_id, row.channel_id)).or_insert(*row);
            if row.last_read_seq > known.last_read_seq {
                *known = *row;
            }
        }
        Ok(())
    }

    async fn write_heads(&self, heads: &[HeadRow]) -> Result<(), EngineError> {
        let mut cluster = self.cluster();
        cluster.may_write()?;
        for row in heads.iter().copied() {
            put!(cluster.heads, row.channel_id, row);
        }
        Ok(())
    }

    async fn write_progress(&self, progress: Progress) -> Result<(), EngineError> {
        let mut cluster = self.cluster();
        cluster.may_write()?;
        if cluster.progress.is_none_or(|known| progress.offset > known.offset) {
            cluster.progress = Some(progress);
        }
        Ok(())
    }
}
