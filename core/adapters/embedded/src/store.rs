//! The message store: batched reads of the tables, writes through the one writer.

use std::collections::HashSet;
use std::hash::Hash;
use std::sync::Arc;

use fjall::Readable;
use ringside_domain::rows::{
    ChangeRow, DeliveredRow, HeadRow, KeyRow, MessageRow, Prefetch, Prefetched, Progress, ReactionRow,
    ReadRow, Rows,
};
use ringside_ports::store::{ChangeRange, MessageRange, Order, PartitionRows};
use ringside_ports::{ChannelReader, EngineError, PartitionStore};
use ringside_types::limits::REACTIONS_READ_MAX;
use ringside_types::{MessageId, PartitionId};

use crate::engine::{Core, Shared, StoreWork};
use crate::tables::amendments::{ReplyRow, reaction_prefix, reply_key};
use crate::tables::expiry::is_over;
use crate::tables::rows::{
    ChangeOfRecord, Row, SlotOf, change_key, key_key, member_prefix, message_key, progress_key, read_key,
    slot_prefix,
};
use crate::tables::{damaged, failed, get, with_prefix};

/// So few questions of a processor are answered on its own thread. What it asks about was written a moment ago, or was never
/// there, which a filter in memory says: that takes less than a hop to another thread and back.
const PREFETCHED_AT_ONCE: usize = 64;

/// The message store of an engine. A clone is another handle.
#[derive(Clone)]
pub struct EmbeddedStore(Arc<Shared>);

impl EmbeddedStore {
    pub(crate) fn new(shared: Arc<Shared>) -> Self {
        Self(shared)
    }
}

impl ChannelReader for EmbeddedStore {
    async fn load(&self, wanted: &Prefetch) -> Result<Prefetched, EngineError> {
        if wanted.is_empty() {
            return Ok(Prefetched::default());
        }
        let wanted = wanted.clone();
        self.0.core.read(move |core| load(core, &wanted)).await
    }

    async fn messages(&self, ranges: &[MessageRange]) -> Result<Vec<Vec<MessageRow>>, EngineError> {
        let ranges = ranges.to_vec();
        self.0.core.read(move |core| ranges.iter().map(|range| messages(core, *range)).collect()).await
    }

    async fn replies(&self, to: MessageId, range: MessageRange) -> Result<Vec<MessageRow>, EngineError> {
        self.0.core.read(move |core| replies(core, to, range)).await
    }

    async fn changes(&self, ranges: &[ChangeRange]) -> Result<Vec<Vec<ChangeRow>>, EngineError> {
        let ranges = ranges.to_vec();
        self.0.core.read(move |core| ranges.iter().map(|range| changes(core, *range)).collect()).await
    }
}

impl PartitionStore for EmbeddedStore {
    async fn partition(&self, partition: PartitionId) -> Result<PartitionRows, EngineError> {
        let read = move |core: &Core| {
            let (at, table) = (core.tables.database.snapshot(), &core.tables.partitions);
            let progress: Option<Progress> = get(&at, table, &progress_key(partition))?;
            let mut slots: Vec<SlotOf> = Vec::new();
            with_prefix(&at, table, &slot_prefix(partition), &mut slots)?;
            Ok(PartitionRows { progress, slots: slots.into_iter().map(|slot| slot.row).collect() })
        };
        self.0.core.read(read).await
    }

    async fn prefetch(&self, wanted: &Prefetch) -> Result<Prefetched, EngineError> {
        if wanted.len() <= PREFETCHED_AT_ONCE {
            return load(&self.0.core, wanted);
        }
        ChannelReader::load(self, wanted).await
    }

    async fn write_rows(&self, partition: PartitionId, rows: &Rows) -> Result<(), EngineError> {
        self.0.core.write(StoreWork::Rows(partition, Box::new(rows.clone()))).map(drop)
    }

    async fn write_heads(&self, heads: &[HeadRow]) -> Result<(), EngineError> {
        self.0.core.write(StoreWork::Heads(heads.to_vec())).map(drop)
    }

    async fn write_progress(&self, progress: Progress) -> Result<(), EngineError> {
        self.0.core.write(StoreWork::Progress(progress))?;
        // Where a partition begins is known nowhere else.
        self.0.core.persist()
    }
}

impl std::fmt::Debug for EmbeddedStore {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("EmbeddedStore")
    }
}

/// All of it as of one moment: without a snapshot, a commit that is being applied is seen in part, its heads before its
/// messages.
fn load(core: &Core, wanted: &Prefetch) -> Result<Prefetched, EngineError> {
    let (at, tables) = (&core.tables.database.snapshot(), &core.tables);
    let mut loaded = Prefetched::default();
    for channel in each(&wanted.channels) {
        loaded.heads.extend(get::<HeadRow>(at, &tables.heads, channel.as_bytes())?);
    }
    for channel in each(&wanted.interest) {
        with_prefix(at, &tables.interest, channel.as_bytes(), &mut loaded.interest)?;
    }
    for channel in each(&wanted.channels) {
        with_prefix(at, &tables.settings, channel.as_bytes(), &mut loaded.settings)?;
    }
    for (channel, user) in each(&wanted.members) {
        with_prefix(at, &tables.members, &member_prefix(*channel, *user), &mut loaded.members)?;
    }
    let now = core.tables.age.now();
    for key in each(&wanted.keys) {
        let row: Option<KeyRow> = get(at, &tables.keys, &key_key(key))?;
        loaded.keys.extend(row.filter(|row| !is_over(row.stamp.0, now)));
    }
    for (channel, record) in each(&wanted.records) {
        let key = message_key(*channel, *record);
        loaded.messages.extend(get::<MessageRow>(at, &tables.messages, &key)?);
        if let Some(of_record) = get::<ChangeOfRecord>(at, &tables.change_of_record, &key)? {
            let key = change_key(*channel, of_record.change);
            let row: ChangeRow =
                get(at, &tables.changes, &key)?.ok_or_else(|| damaged(&tables.changes, &key))?;
            // Another record may have taken the number since, with a later stamp.
            loaded.changes.extend((row.record_id == *record).then_some(row));
        }
    }
    for (channel, message, emoji) in each(&wanted.reactions) {
        let prefix = reaction_prefix(*channel, *message, emoji);
        with_prefix(at, &tables.reactions, &prefix, &mut loaded.reactions)?;
    }
    for (channel, first, last) in each(&wanted.reacted) {
        let table = &tables.reactions;
        let keys = message_key(*channel, *first)..message_key(*channel, MessageId(last.0.saturating_add(1)));
        let found: Vec<ReactionRow> = collect(table, at.range(table, keys).take(REACTIONS_READ_MAX))?;
        loaded.reactions.extend(found);
    }
    for (channel, message) in each(&wanted.pins) {
        with_prefix(at, &tables.pins, &message_key(*channel, *message), &mut loaded.pins)?;
    }
    for channel in each(&wanted.pinned) {
        with_prefix(at, &tables.pins, channel.as_bytes(), &mut loaded.pins)?;
    }
    for (user, channel) in each(&wanted.reads) {
        let key = read_key(*user, *channel);
        loaded.reads.extend(get::<ReadRow>(at, &tables.reads, &key)?);
        loaded.delivered.extend(get::<DeliveredRow>(at, &tables.delivered, &key)?);
    }
    for user in each(&wanted.reads_of) {
        with_prefix(at, &tables.reads, user.as_bytes(), &mut loaded.reads)?;
    }
    Ok(loaded)
}

/// What is wanted twice is answered once.
fn each<T: Eq + Hash>(wanted: &[T]) -> impl Iterator<Item = &T> {
    let mut seen = HashSet::with_capacity(wanted.len());
    wanted.iter().filter(move |one| seen.insert(*one))
}

fn messages(core: &Core, range: MessageRange) -> Result<Vec<MessageRow>, EngineError> {
    // Both ends are excluded; an empty range is no question for the database.
    if range.limit == 0 || range.before.0 <= range.after.0.saturating_add(1) {
        return Ok(Vec::new());
    }
    let (at, table) = (&core.tables.database.snapshot(), &core.tables.messages);
    let first = MessageId(range.after.0 + 1);
    let keys = message_key(range.channel_id, first)..message_key(range.channel_id, range.before);
    match range.order {
        Order::OldestFirst => collect(table, at.range(table, keys).take(range.limit)),
        Order::NewestFirst => collect(table, at.range(table, keys).rev().take(range.limit)),
    }
}

fn changes(core: &Core, range: ChangeRange) -> Result<Vec<ChangeRow>, EngineError> {
    if range.limit == 0 || range.up_to <= range.after {
        return Ok(Vec::new());
    }
    let (at, table) = (core.tables.database.snapshot(), &core.tables.changes);
    let keys = change_key(range.channel_id, range.after + 1)..=change_key(range.channel_id, range.up_to);
    collect(table, at.range(table, keys).take(range.limit))
}

fn replies(core: &Core, to: MessageId, range: MessageRange) -> Result<Vec<MessageRow>, EngineError> {
    let (at, table) = (&core.tables.database.snapshot(), &core.tables.replies);
    let channel = range.channel_id;
    let keys = reply_key(channel, to, MessageId(range.after.0 + 1))..reply_key(channel, to, range.before);
    let found: Vec<ReplyRow> = match range.order {
        Order::OldestFirst => collect(table, at.range(table, keys).take(range.limit))?,
        Order::NewestFirst => collect(table, at.range(table, keys).rev().take(range.limit))?,
    };
    let mut rows = Vec::with_capacity(found.len());
    for reply in found {
        rows.extend(get::<MessageRow>(at, &core.tables.messages, &message_key(channel, reply.reply))?);
    }
    Ok(rows)
}

fn collect<R: Row>(
    table: &fjall::Keyspace,
    pairs: impl Iterator<Item = fjall::Guard>,
) -> Result<Vec<R>, EngineError> {
    pairs
        .map(|pair| {
            let (key, value) = pair.into_inner().map_err(failed)?;
            R::read(&key, &value).ok_or_else(|| damaged(table, &key))
        })
        .collect()
}
