//! A message store that is not atomic: rows of one write come one after the other, in any order, and a reader sees some of
//! them. Of two writes of one row the later stamp wins.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use ringside_domain::rows::{
    ChangeRow, DeliveredRow, HeadRow, InterestRow, KeyRow, MembershipRow, MessageRow, PinRow, Prefetch,
    Prefetched, Progress, ReactionRow, ReadRow, Rows, SettingsRow, SlotRow,
};
use ringside_ports::store::{ChangeRange, MessageRange, Order, PartitionRows};
use ringside_ports::{ChannelReader, EngineError, PartitionStore};
use ringside_types::{ChannelId, ClientId, Epoch, MessageId, PartitionId, Slot, UserId};

use crate::network::{Engine, Network};
use crate::scheduler::ProcessId;
use crate::trace::Lane;

#[derive(Default)]
struct Tables {
    messages: BTreeMap<(ChannelId, MessageId), MessageRow>,
    changes: BTreeMap<(ChannelId, u64), ChangeRow>,
    heads: BTreeMap<ChannelId, HeadRow>,
    members: BTreeMap<(ChannelId, UserId, MessageId), MembershipRow>,
    settings: BTreeMap<(ChannelId, MessageId), SettingsRow>,
    interest: BTreeMap<(ChannelId, Slot, Epoch), InterestRow>,
    slots: BTreeMap<(PartitionId, Slot), SlotRow>,
    keys: BTreeMap<(ChannelId, UserId, ClientId), KeyRow>,
    reads: BTreeMap<(UserId, ChannelId), ReadRow>,
    delivered: BTreeMap<(UserId, ChannelId), DeliveredRow>,
    reactions: BTreeMap<(ChannelId, MessageId, String, UserId, MessageId), ReactionRow>,
    pins: BTreeMap<(ChannelId, MessageId, MessageId), PinRow>,
    progress: BTreeMap<PartitionId, Progress>,
}

/// The store, from one process.
#[derive(Clone)]
pub struct SimulatedStore {
    network: Network,
    tables: Arc<Mutex<Tables>>,
}

/// One row on its way into its table.
type Write = Box<dyn FnOnce(&mut Tables) + Send>;

/// Puts a row into its table unless a later record wrote it.
macro_rules! put {
    ($writes:expr, $table:ident, $rows:expr, $key:expr) => {
        for row in $rows.iter().cloned() {
            let key = $key(&row);
            $writes.push(Box::new(move |tables: &mut Tables| {
                if tables.$table.get(&key).is_none_or(|known| known.stamp <= row.stamp) {
                    tables.$table.insert(key, row);
                }
            }));
        }
    };
}

impl SimulatedStore {
    pub fn new(network: Network) -> Self {
        Self { network, tables: Arc::default() }
    }

    /// The same store, from another process.
    pub fn of(&self, process: ProcessId) -> Self {
        Self { network: self.network.of(process), tables: self.tables.clone() }
    }

    fn tables(&self) -> MutexGuard<'_, Tables> {
        self.tables.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// How far a partition's processor came.
    pub fn progress(&self, partition: PartitionId) -> Option<Progress> {
        self.tables().progress.get(&partition).copied()
    }

    /// A channel's head, its messages and changes up to it.
    pub fn channel(&self, channel: ChannelId) -> (HeadRow, Vec<MessageRow>, Vec<ChangeRow>) {
        let tables = self.tables();
        let head = tables.heads.get(&channel).copied().unwrap_or(HeadRow::empty(channel));
        let messages = tables.messages.range((channel, MessageId::ZERO)..=(channel, head.last_message_id));
        let changes = tables.changes.range((channel, 0)..=(channel, head.last_change));
        (head, messages.map(|(_, row)| row.clone()).collect(), changes.map(|(_, row)| row.clone()).collect())
    }

    /// Writes rows in any order, with time between some of them.
    async fn write(&self, mut writes: Vec<Write>) -> Result<(), EngineError> {
        self.network.travel(Engine::Store).await?;
        let scheduler = &self.network.scheduler;
        while !writes.is_empty() {
            let chosen = writes.swap_remove(scheduler.draw(writes.len() as u64) as usize);
            chosen(&mut self.tables());
            if scheduler.chance(200) {
                scheduler.sleep(scheduler.draw_us(1..500)).await;
            }
        }
        self.network.travel(Engine::Store).await
    }
}

impl Tables {
    fn messages(&self, range: MessageRange) -> Vec<MessageRow> {
        let inside = |row: &&MessageRow| row.message_id > range.after && row.message_id < range.before;
        let of_channel = (range.channel_id, MessageId::ZERO)..=(range.channel_id, MessageId::MAX);
        let rows = self.messages.range(of_channel).map(|(_, row)| row).filter(inside).cloned();
        match range.order {
            Order::OldestFirst => rows.take(range.limit).collect(),
            Order::NewestFirst => rows.rev().take(range.limit).collect(),
        }
    }

    fn changes(&self, range: ChangeRange) -> Vec<ChangeRow> {
        if range.up_to <= range.after {
            return Vec::new();
        }
        let keys = (range.channel_id, range.after + 1)..=(range.channel_id, range.up_to);
        self.changes.range(keys).map(|(_, row)| row.clone()).take(range.limit).collect()
    }

    fn heads(&self, wanted: &Prefetch) -> Vec<HeadRow> {
        wanted.channels.iter().filter_map(|channel| self.heads.get(channel)).copied().collect()
    }

    /// What is wanted besides heads, which a reader without snapshots has to read first.
    fn rest(&self, wanted: &Prefetch) -> Prefetched {
        let of = |channel: &ChannelId| wanted.channels.contains(channel);
        let rows_of_reaction = |row: &&ReactionRow| {
            let named = (row.channel_id, row.message_id, row.emoji.clone());
            let within = |(of, first, last): &(ChannelId, MessageId, MessageId)| {
                *of == row.channel_id && (*first..=*last).contains(&row.message_id)
            };
            wanted.reactions.contains(&named) || wanted.reacted.iter().any(within)
        };
        let is_wanted_pin = |row: &&PinRow| {
            wanted.pins.contains(&(row.channel_id, row.message_id)) || wanted.pinned.contains(&row.channel_id)
        };
        let is_wanted_change = |row: &&ChangeRow| wanted.records.contains(&(row.channel_id, row.record_id));
        let is_wanted_member = |row: &&MembershipRow| wanted.members.contains(&(row.channel_id, row.user_id));
        let interest = |row: &&InterestRow| wanted.interest.contains(&row.channel_id);
        let reads_of = self.reads.values().filter(|row| wanted.reads_of.contains(&row.user_id));
        Prefetched {
            heads: Vec::new(),
            interest: self.interest.values().filter(interest).copied().collect(),
            settings: self.settings.values().filter(|row| of(&row.channel_id)).copied().collect(),
            members: self.members.values().filter(is_wanted_member).cloned().collect(),
            keys: self.keys.values().filter(|row| wanted.keys.contains(&row.key)).copied().collect(),
            messages: wanted.records.iter().filter_map(|key| self.messages.get(key).cloned()).collect(),
            changes: self.changes.values().filter(is_wanted_change).cloned().collect(),
            reads: wanted
                .reads
                .iter()
                .filter_map(|key| self.reads.get(key))
                .chain(reads_of)
                .copied()
                .collect(),
            delivered: wanted.reads.iter().filter_map(|key| self.delivered.get(key)).copied().collect(),
            reactions: self.reactions.values().filter(rows_of_reaction).cloned().collect(),
            pins: self.pins.values().filter(is_wanted_pin).copied().collect(),
        }
    }
}

impl ChannelReader for SimulatedStore {
    async fn load(&self, wanted: &Prefetch) -> Result<Prefetched, EngineError> {
        self.network.travel(Engine::Store).await?;
        let heads = self.tables().heads(wanted);
        // Heads come first; what is read after them may be newer.
        let scheduler = &self.network.scheduler;
        scheduler.sleep(scheduler.draw_us(0..500)).await;
        let rest = self.tables().rest(wanted);
        self.network.travel(Engine::Store).await?;
        Ok(Prefetched { heads, ..rest })
    }

    async fn messages(&self, ranges: &[MessageRange]) -> Result<Vec<Vec<MessageRow>>, EngineError> {
        self.network.travel(Engine::Store).await?;
        let found = ranges.iter().map(|range| self.tables().messages(*range)).collect();
        self.network.travel(Engine::Store).await?;
        Ok(found)
    }

    async fn replies(&self, to: MessageId, range: MessageRange) -> Result<Vec<MessageRow>, EngineError> {
        self.network.travel(Engine::Store).await?;
        let all = self.tables().messages(MessageRange { limit: usize::MAX, ..range });
        Ok(all.into_iter().filter(|row| row.reply_to == to).take(range.limit).collect())
    }

    async fn changes(&self, ranges: &[ChangeRange]) -> Result<Vec<Vec<ChangeRow>>, EngineError> {
        self.network.travel(Engine::Store).await?;
        let found = ranges.iter().map(|range| self.tables().changes(*range)).collect();
        self.network.travel(Engine::Store).await?;
        Ok(found)
    }
}

impl PartitionStore for SimulatedStore {
    async fn partition(&self, partition: PartitionId) -> Result<PartitionRows, EngineError> {
        self.network.travel(Engine::Store).await?;
        let tables = self.tables();
        let slots = tables.slots.range((partition, Slot(0))..=(partition, Slot(u16::MAX)));
        let slots = slots.map(|(_, row)| *row).collect();
        Ok(PartitionRows { progress: tables.progress.get(&partition).copied(), slots })
    }

    async fn prefetch(&self, wanted: &Prefetch) -> Result<Prefetched, EngineError> {
        self.load(wanted).await
    }

    async fn write_rows(&self, partition: PartitionId, rows: &Rows) -> Result<(), EngineError> {
        for row in &rows.messages {
            let scheduler = &self.network.scheduler;
            scheduler.note(scheduler.lane(self.network.process), Lane::Store, Some(row.channel_id), || {
                let state = if row.is_deleted() { ", deleted" } else { "" };
                format!("#{} is {}{state}, written at stamp {}", row.seq, row.message_id, row.stamp.0)
            });
        }
        let mut writes: Vec<Write> = Vec::new();
        for &key in &rows.void_interest {
            writes.push(Box::new(move |tables| {
                tables.interest.remove(&key);
            }));
        }
        put!(writes, messages, rows.messages, |row: &MessageRow| (row.channel_id, row.message_id));
        put!(writes, changes, rows.changes, |row: &ChangeRow| (row.channel_id, row.change));
        put!(writes, members, rows.memberships, |row: &MembershipRow| (
            row.channel_id,
            row.user_id,
            row.from_id
        ));
        put!(writes, settings, rows.settings, |row: &SettingsRow| (row.channel_id, row.from_id));
        put!(writes, reactions, rows.reactions, |row: &ReactionRow| {
            (row.channel_id, row.message_id, row.emoji.clone(), row.user_id, row.from_id)
        });
        put!(writes, pins, rows.pins, |row: &PinRow| (row.channel_id, row.message_id, row.from_id));
        put!(writes, keys, rows.keys, |row: &KeyRow| (
            row.key.channel_id,
            row.key.sender_id,
            row.key.client_id
        ));
        put!(writes, interest, rows.interest, |row: &InterestRow| (row.channel_id, row.slot, row.epoch));
        put!(writes, slots, rows.slots, |row: &SlotRow| (partition, row.slot));
        for row in rows.reads.iter().copied() {
            writes.push(Box::new(move |tables| {
                let known = tables.reads.entry((row.user_id, row.channel_id)).or_insert(row);
                if row.last_read_seq > known.last_read_seq {
                    *known = row;
                }
            }));
        }
        for row in rows.delivered.iter().copied() {
            writes.push(Box::new(move |tables| {
                tables.delivered.insert((row.user_id, row.channel_id), row);
            }));
        }
        self.write(writes).await
    }

    async fn write_heads(&self, heads: &[HeadRow]) -> Result<(), EngineError> {
        let mut writes: Vec<Write> = Vec::new();
        put!(writes, heads, heads, |row: &HeadRow| row.channel_id);
        self.write(writes).await
    }

    async fn write_progress(&self, progress: Progress) -> Result<(), EngineError> {
        let write: Write = Box::new(move |tables| {
            let known = tables.progress.entry(progress.partition).or_insert(progress);
            if progress.offset > known.offset {
                *known = progress;
            }
        });
        self.write(vec![write]).await
    }
}
