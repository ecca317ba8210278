//! Tables in memory as a store keeps them, a log as a list, and a run of the processor that may crash between its
//! steps.

use std::collections::{BTreeMap, BTreeSet, HashMap};

use bytes::Bytes;
use ringside_domain::partition::{Batch, Input, Partition};
use ringside_domain::rows::{
    ChangeRow, HeadRow, InterestRow, Key, KeyRow, MembershipRow, MessageRow, PinRow, Prefetch, Prefetched,
    Progress, ReactionRow, ReadRow, Rows, SettingsRow, SlotRow, WriteTimestamp,
};
use ringside_types::{ChannelId, Epoch, MessageId, Offset, PartitionId, Slot, UnixMillis, UserId};
use ringside_wire::records::{
    Amended, Departed, Edited, Effective, JoinAnswer, MemberAdded, amended, command, edge_item, effective,
};

pub const PARTITION: PartitionId = PartitionId(3);

/// The rows of all tables. Of two writes of one row the greater stamp stays; read cursors only grow.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Tables {
    pub messages: BTreeMap<(ChannelId, MessageId), MessageRow>,
    pub changes: BTreeMap<(ChannelId, u64), ChangeRow>,
    pub memberships: BTreeMap<(ChannelId, UserId, MessageId), MembershipRow>,
    pub settings: BTreeMap<(ChannelId, MessageId), SettingsRow>,
    pub keys: HashMap<Key, KeyRow>,
    pub interest: BTreeMap<(ChannelId, Slot, Epoch), InterestRow>,
    pub slots: BTreeMap<Slot, SlotRow>,
    pub reactions: BTreeMap<(MessageId, String, UserId, MessageId), ReactionRow>,
    pub pins: BTreeMap<(MessageId, MessageId), PinRow>,
    pub reads: BTreeMap<(UserId, ChannelId), ReadRow>,
    pub heads: BTreeMap<ChannelId, HeadRow>,
    pub progress: Option<Progress>,
}

macro_rules! put {
    ($table:expr, $key:expr, $row:expr) => {{
        let (key, row) = ($key, $row);
        let newer = $table.get(&key).is_none_or(|old| old.stamp <= row.stamp);
        if newer {
            $table.insert(key, row);
        }
    }};
}

impl Tables {
    fn write_rows(&mut self, rows: Rows) {
        rows.messages.into_iter().for_each(|row| put!(self.messages, (row.channel_id, row.message_id), row));
        rows.changes.into_iter().for_each(|row| put!(self.changes, (row.channel_id, row.change), row));
        for row in rows.memberships {
            put!(self.memberships, (row.channel_id, row.user_id, row.from_id), row);
        }
        rows.settings.into_iter().for_each(|row| put!(self.settings, (row.channel_id, row.from_id), row));
        rows.keys.into_iter().for_each(|row| put!(self.keys, row.key, row));
        for row in rows.reactions {
            put!(self.reactions, (row.message_id, row.emoji.clone(), row.user_id, row.from_id), row);
        }
        rows.pins.into_iter().for_each(|row| put!(self.pins, (row.message_id, row.from_id), row));
        for row in rows.interest {
            put!(self.interest, (row.channel_id, row.slot, row.epoch), row);
        }
        for key in rows.void_interest {
            self.interest.remove(&key);
        }
        for row in rows.slots {
            let newer = self.slots.get(&row.slot).is_none_or(|old| old.epoch <= row.epoch);
            if newer {
                self.slots.insert(row.slot, row);
            }
        }
        for row in rows.reads {
            let newer = self
                .reads
                .get(&(row.user_id, row.channel_id))
                .is_none_or(|old| old.last_read_seq <= row.last_read_seq);
            if newer {
                self.reads.insert((row.user_id, row.channel_id), row);
            }
        }
    }

    fn load(&self, wanted: &Prefetch) -> Prefetched {
        let mut loaded = Prefetched::default();
        for channel in &wanted.channels {
            loaded.heads.extend(self.heads.get(channel).copied());
            loaded.settings.extend(self.settings.values().filter(|row| row.channel_id == *channel).copied());
        }
        for channel in &wanted.interest {
            loaded.interest.extend(self.interest.values().filter(|row| row.channel_id == *channel).copied());
        }
        for (channel, user) in &wanted.members {
            let rows = self.memberships.values();
            loaded
                .members
                .extend(rows.filter(|row| row.channel_id == *channel && row.user_id == *user).cloned());
        }
        for (_, message, emoji) in &wanted.reactions {
            let rows = self.reactions.values();
            loaded
                .reactions
                .extend(rows.filter(|row| row.message_id == *message && row.emoji == *emoji).cloned());
        }
        for (_, first, last) in &wanted.reacted {
            let rows = self.reactions.values();
            loaded.reactions.extend(rows.filter(|row| (*first..=*last).contains(&row.message_id)).cloned());
        }
        for (_, message) in &wanted.pins {
            loaded.pins.extend(self.pins.values().filter(|row| row.message_id == *message).copied());
        }
        loaded.keys.extend(wanted.keys.iter().filter_map(|key| self.keys.get(key).copied()));
        for record in &wanted.records {
            loaded.messages.extend(self.messages.get(record).cloned());
            let of = self.changes.values().filter(|row| (row.channel_id, row.record_id) == *record);
            loaded.changes.extend(of.cloned());
        }
        loaded
    }

    /// What clients and decisions depend on: interest of past epochs may be deleted sooner or later.
    pub fn without_void_interest(mut self) -> Self {
        let slots = self.slots.clone();
        self.interest.retain(|(_, slot, epoch), _| slots.get(slot).is_none_or(|row| *epoch >= row.epoch));
        self
    }
}

/// A record of the log, before it has an offset.
#[derive(Clone, Debug)]
pub struct Record {
    pub time: UnixMillis,
    pub body: command::Body,
}

/// The id and the stamp of a record of a log in which all have this time, the first of them 1; of 0: no record.
#[allow(dead_code, reason = "the tests of replay don't use it")]
pub fn nth(time: UnixMillis, record: u64) -> (MessageId, WriteTimestamp) {
    let id = (0..record).fold(MessageId::ZERO, |last, _| MessageId::following(last, time, PARTITION));
    (id, WriteTimestamp(time.0 * 1_000 + record.saturating_sub(1)))
}

/// Before which step of a commit the process dies.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Death {
    Rows,
    Heads,
    Edges,
    Progress,
}

/// An event as one edge was sent it: slot, lease, channel, id, bytes.
pub type Sent = (Slot, Epoch, ChannelId, MessageId, Vec<u8>);

impl Outcome {
    /// The events that edges must have had: of leases that are not over, for channels that they still listen to, from
    /// the join's own record on.
    pub fn due_events(&self) -> Vec<Sent> {
        let is_due = |(slot, epoch, channel, id, _): &&Sent| {
            let is_over = self.tables.slots.get(slot).is_some_and(|row| row.epoch > *epoch);
            let interest = self.tables.interest.get(&(*channel, *slot, *epoch));
            let listens = interest.is_some_and(|row| row.record_id != MessageId::ZERO && *id > row.record_id);
            !is_over && listens
        };
        self.events.iter().filter(is_due).cloned().collect()
    }
}

/// What a run left behind.
#[derive(Debug, Default)]
pub struct Outcome {
    pub tables: Tables,
    /// Events that each edge was sent, in whatever order and however often.
    pub events: BTreeSet<Sent>,
    /// Codes of refusals, as the edges that asked were told them.
    pub rejections: Vec<String>,
    /// Answers to those who wait for one: the request, what was made, the refusal.
    pub answers: Vec<(u64, u64, String)>,
    /// The same events as they were told, one after the other.
    pub told: Vec<Effective>,
    /// Answers to joins, to whom each went.
    pub joined: Vec<(Slot, Epoch, JoinAnswer)>,
    /// Why records were put aside.
    pub dead: Vec<String>,
    /// What `control` was told of new members, and of those who are members no longer.
    pub added: Vec<MemberAdded>,
    pub departed: Vec<Departed>,
    /// Each record's id. A replay that gives a record another one panics.
    pub ids: BTreeMap<u64, MessageId>,
}

/// A message's row without what an edit changes of it.
#[allow(dead_code, reason = "the tests of amendments use it")]
pub fn unedited(row: MessageRow, before: &MessageRow) -> MessageRow {
    let (content, edited_record, stamp) = (before.content.clone(), before.edited_record, before.stamp);
    MessageRow { content, edited_record, stamp, ..row }
}

/// Processes a log in batches of these sizes (over and over), dying where `deaths` says so, until it is at its end.
pub fn run(log: &[Record], sizes: &[usize], deaths: &[Option<Death>]) -> Outcome {
    let mut outcome = Outcome::default();
    outcome.tables.progress = Some(Progress::start(PARTITION));
    let (mut sizes, mut deaths) = (sizes.iter().cycle(), deaths.iter());
    loop {
        let progress = outcome.tables.progress.expect("a run has a start");
        let slots: Vec<SlotRow> = outcome.tables.slots.values().copied().collect();
        let mut machine = Partition::open(progress, &slots);
        loop {
            let from = machine.progress().offset.0 as usize;
            if from >= log.len() {
                return outcome;
            }
            let size = sizes.next().copied().unwrap_or(1).max(1);
            let batch = turn(&mut machine, &log[from..log.len().min(from + size)], from, &mut outcome);
            let death = deaths.next().copied().flatten();
            commit(batch, death, &mut outcome);
            if death.is_some() {
                break;
            }
        }
    }
}

fn turn(machine: &mut Partition, records: &[Record], from: usize, outcome: &mut Outcome) -> Batch {
    let mut last = machine.progress().last;
    let mut inputs = Vec::with_capacity(records.len());
    for (place, record) in records.iter().enumerate() {
        let offset = (from + place) as u64;
        let next = MessageId::following(last, record.time, PARTITION);
        assert!(next > last, "ids rise strictly");
        let known = *outcome.ids.entry(offset).or_insert(next);
        assert_eq!(known, next, "a record keeps its id over every replay");
        last = next;
        let command = Ok(record.body.clone());
        inputs.push(Input { offset: Offset(offset), time: record.time, command, payload: Bytes::new() });
    }
    let wanted = machine.wants(&inputs);
    let mut loaded = outcome.tables.load(&wanted);
    machine.absorb(&wanted, &loaded);
    let made = outcome.tables.load(&machine.wants_replayed(&inputs));
    loaded.messages.extend(made.messages);
    loaded.changes.extend(made.changes);
    let batch = machine.apply(&inputs, loaded);
    assert_eq!(machine.progress().last, last);
    batch
}

fn commit(batch: Batch, death: Option<Death>, outcome: &mut Outcome) {
    if death == Some(Death::Rows) {
        return;
    }
    outcome.tables.write_rows(batch.rows);
    outcome.added.extend(batch.added);
    outcome.departed.extend(batch.departed);
    outcome.dead.extend(batch.dead.into_iter().map(|dead| dead.reason));
    if death == Some(Death::Heads) {
        return;
    }
    for head in batch.heads {
        put!(outcome.tables.heads, head.channel_id, head);
    }
    if death == Some(Death::Edges) {
        return;
    }
    for (_, _, item) in batch.rejections {
        let Some(edge_item::Body::Rejection(rejection)) = item.body else { continue };
        outcome.rejections.push(rejection.code);
    }
    for (slot, epoch, item) in batch.edges {
        match item.body {
            Some(edge_item::Body::Effective(event)) => {
                let channel = ringside_wire::channel_id(&item.channel_id).expect("an id");
                outcome.events.insert((slot, epoch, channel, MessageId(event.id), bytes_of(&event)));
                outcome.told.push(event);
            }
            Some(edge_item::Body::Join(answer)) => outcome.joined.push((slot, epoch, answer)),
            Some(edge_item::Body::Answered(answered)) => {
                outcome.answers.push((answered.request, answered.record_id, answered.code));
            }
            _ => {}
        }
    }
    if death == Some(Death::Progress) {
        return;
    }
    outcome.tables.progress = batch.progress;
}

/// What is sent again says the message as it is by then: its edits and its deletion follow.
fn bytes_of(event: &Effective) -> Vec<u8> {
    let mut event = event.clone();
    if let Some(effective::Event::Message(message)) = &mut event.event {
        message.content.clear();
        message.metadata.clear();
        (message.edited_at_ms, message.deleted) = (0, false);
    }
    if let Some(effective::Event::Amended(Amended {
        change: Some(amended::Change::Edited(edited)), ..
    })) = &mut event.event
    {
        *edited = Edited::default();
    }
    ringside_wire::encode(&event).to_vec()
}
