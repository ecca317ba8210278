//! The processor of one partition of `messages.send`.
//!
//! Vocabulary: a batch of [`Input`]s is turned into one [`Batch`] in four calls.
//!
//! ```text
//! wants(&inputs) -> Prefetch     what the store must be asked
//! absorb(Prefetched)               what it answered
//! wants_replayed(&inputs)      ... and of records that were applied before
//! apply(inputs, Prefetched) -> Batch
//! ```
//! `Prefetched` of the last call is what both wishes brought.
//!
//! Everything in a batch is a function of the partition's records. A record applied again writes the same bytes, and
//! a batch whose commit failed is forgotten with the whole `Partition`, which is opened anew from the store.

use bytes::Bytes;
use hashbrown::{HashMap, HashSet};
use ringside_types::hash::RandomState;
use ringside_types::{ChannelId, Epoch, MessageId, Offset, Slot, UnixMillis, UserId};
use ringside_wire::records::{self, Departed, EdgeItem, MemberAdded, command};

use crate::cache::Cache;
use crate::rows::{
    ChangeRow, HeadRow, Key, KeyRow, MessageRow, PinRow, Prefetch, Prefetched, Progress, ReactionRow, Rows,
    SlotRow, WriteTimestamp,
};
use crate::window::Window;

/// A record of the partition.
#[derive(Clone, Debug)]
pub struct Input {
    pub offset: Offset,
    /// The log's time of it.
    pub time: UnixMillis,
    /// What it says; `Err`: why it can't be read.
    pub command: Result<command::Body, String>,
    /// Its bytes, for `messages.dead`.
    pub payload: Bytes,
}

/// What a batch of records made.
#[derive(Debug, Default)]
pub struct Batch {
    /// Step 1: rows,
    pub rows: Rows,
    /// messages for search, push and moderation,
    pub stored: Vec<records::StoredItem>,
    /// refusals, outside the chain, to the edge that each came from,
    pub rejections: Vec<(Slot, Epoch, EdgeItem)>,
    /// new members, for `control`,
    pub added: Vec<MemberAdded>,
    /// and those who are members no longer,
    pub departed: Vec<Departed>,
    /// and records that can't be processed.
    pub dead: Vec<records::Dead>,
    /// Step 2: where the touched channels stand.
    pub heads: Vec<HeadRow>,
    /// Step 3: events and answers to joins, in order, for each interested edge.
    pub edges: Vec<(Slot, Epoch, EdgeItem)>,
    /// Step 4: how far the partition is.
    pub progress: Option<Progress>,
}

/// The state of one partition's processor.
#[derive(Debug)]
pub struct Partition {
    pub(crate) progress: Progress,
    pub(crate) slots: HashMap<Slot, Epoch, RandomState>,
    pub(crate) cache: Cache,
    pub(crate) window: Window,
    pub(crate) void_interest: Vec<(ChannelId, Slot, Epoch)>,
}

/// What the store told of a batch, arranged for the decisions.
#[derive(Default)]
pub(crate) struct Known {
    pub(crate) keys: HashMap<Key, KeyRow, RandomState>,
    pub(crate) messages: HashMap<MessageId, MessageRow, RandomState>,
    pub(crate) changes: HashMap<MessageId, ChangeRow, RandomState>,
    pub(crate) reactions: HashMap<(MessageId, String), Vec<ReactionRow>, RandomState>,
    pub(crate) pins: HashMap<MessageId, Vec<PinRow>, RandomState>,
    /// Messages that amendments and replies of this batch name.
    named: HashSet<MessageId, RandomState>,
}

impl Known {
    fn new(inputs: &[Input], loaded: Prefetched) -> Self {
        let named = inputs.iter().filter_map(|input| match &input.command {
            Ok(command::Body::Amend(amend)) => Some(MessageId(amend.message_id)),
            Ok(command::Body::Send(send)) => MessageId(send.reply_to).non_zero(),
            _ => None,
        });
        let mut known = Self {
            keys: loaded.keys.into_iter().map(|row| (row.key, row)).collect(),
            messages: loaded.messages.into_iter().map(|row| (row.message_id, row)).collect(),
            changes: loaded.changes.into_iter().map(|row| (row.record_id, row)).collect(),
            named: named.collect(),
            ..Self::default()
        };
        // What two records want may come twice.
        let mut reactions = loaded.reactions;
        reactions.sort_unstable_by(|a, b| interval(a).cmp(&interval(b)));
        reactions.dedup_by(|a, b| interval(a) == interval(b));
        for row in reactions {
            known.reactions.entry((row.message_id, row.emoji.clone())).or_default().push(row);
        }
        for row in loaded.pins {
            let rows = known.pins.entry(row.message_id).or_default();
            if !rows.contains(&row) {
                rows.push(row);
            }
        }
        known
    }

    /// A message of this batch, which a later record of it may amend or answer.
    pub(crate) fn made(&mut self, row: &MessageRow) {
        if self.named.contains(&row.message_id) {
            self.messages.entry(row.message_id).or_insert_with(|| row.clone());
        }
    }
}

impl Partition {
    /// Opens a partition where it left off.
    pub fn open(progress: Progress, slots: &[SlotRow]) -> Self {
        Self {
            progress,
            slots: slots.iter().map(|row| (row.slot, row.epoch)).collect(),
            cache: Cache::default(),
            window: Window::default(),
            void_interest: Vec::new(),
        }
    }

    /// How far it is.
    pub fn progress(&self) -> Progress {
        self.progress
    }

    /// What must be loaded before these records can be applied.
    pub fn wants(&self, inputs: &[Input]) -> Prefetch {
        let mut wanted = Prefetch::default();
        let mut channels: HashSet<ChannelId, RandomState> = HashSet::default();
        let mut members: HashSet<(ChannelId, UserId), RandomState> = HashSet::default();
        for input in inputs {
            let Ok(body) = &input.command else { continue };
            for channel in channels_of(body) {
                if !self.cache.knows(channel) && channels.insert(channel) {
                    wanted.channels.push(channel);
                    wanted.interest.push(channel);
                }
            }
            for (channel, user) in members_of(body) {
                if !self.cache.knows_member(channel, user) && members.insert((channel, user)) {
                    wanted.members.push((channel, user));
                }
            }
            match body {
                command::Body::Amend(amend) => want_amended(amend, &mut wanted),
                command::Body::Send(send) => {
                    let target = MessageId(send.reply_to).non_zero();
                    wanted.records.extend(ChannelId::from_slice(&send.channel_id).zip(target));
                }
                _ => {}
            }
            if let Some(key) = key_of(body)
                && self.window.message_of(&key).is_none()
            {
                wanted.keys.push(key);
            }
        }
        wanted
    }

    /// Takes in heads, interest and intervals. Channels and members that were wanted and are absent are empty.
    pub fn absorb(&mut self, wanted: &Prefetch, loaded: &Prefetched) {
        for channel in &wanted.channels {
            self.cache.insert(*channel);
        }
        for head in &loaded.heads {
            self.cache.channel(head.channel_id).head = *head;
        }
        for row in &loaded.interest {
            let current = self.slots.get(&row.slot).copied().unwrap_or_default();
            if row.epoch < current {
                self.void_interest.push((row.channel_id, row.slot, row.epoch));
            } else {
                self.cache.channel(row.channel_id).interest.push(*row);
            }
        }
        for row in &loaded.settings {
            // What was over before the next record decides nothing any more.
            if row.to_id == MessageId::ZERO || row.to_id > self.progress.last {
                self.cache.channel(row.channel_id).put_settings(*row);
            }
        }
        for (channel, user) in &wanted.members {
            self.cache.channel(*channel).intervals.insert(*user, Vec::new());
        }
        for row in &loaded.members {
            self.cache.channel(row.channel_id).put_interval(row.clone());
        }
    }

    /// The records among these that were applied before, as the absorbed heads show: what they made is read back.
    pub fn wants_replayed(&self, inputs: &[Input]) -> Prefetch {
        let mut wanted = Prefetch::default();
        let mut last = self.progress.last;
        for input in inputs {
            last = MessageId::following(last, input.time, self.progress.partition);
            let Ok(body) = &input.command else { continue };
            let makes_records = matches!(
                body,
                command::Body::Send(_) | command::Body::Membership(_) | command::Body::Amend(_)
            );
            if !makes_records {
                continue;
            }
            for channel in channels_of(body) {
                if self.cache.head(channel).is_some_and(|head| last <= head.last_effective_id) {
                    wanted.records.push((channel, last));
                }
            }
        }
        wanted
    }

    /// Applies records in order. `loaded` holds the keys and the replayed records that were wanted for them.
    ///
    /// # Panics
    /// When the records are not the ones that follow, or what they want was not absorbed: a fault of the caller.
    pub fn apply(&mut self, inputs: &[Input], loaded: Prefetched) -> Batch {
        let mut known = Known::new(inputs, loaded);
        let mut batch = Batch::default();
        batch.rows.void_interest = std::mem::take(&mut self.void_interest);
        for input in inputs {
            assert!(input.offset >= self.progress.offset, "records come in the log's order");
            let Progress { partition, last, stamp, .. } = self.progress;
            self.progress = Progress {
                partition,
                offset: input.offset.next(),
                last: MessageId::following(last, input.time, partition),
                stamp: WriteTimestamp((stamp.0 + 1).max(input.time.0 * 1_000)),
            };
            self.decide(input, &mut known, &mut batch);
        }
        self.collect_heads(&mut batch);
        batch.progress = Some(self.progress);
        self.cache.batch_ended();
        batch
    }

    /// One row per channel that a record of the batch took further, whichever record did so last.
    fn collect_heads(&mut self, batch: &mut Batch) {
        let mut seen: HashSet<ChannelId, RandomState> = HashSet::default();
        let touched = batch.rows.messages.iter().map(|row| row.channel_id);
        let touched = touched.chain(batch.rows.changes.iter().map(|row| row.channel_id));
        for channel in touched {
            if seen.insert(channel) {
                batch.heads.push(self.cache.channel(channel).head);
            }
        }
    }
}

/// The channels that a record is about. Ids that can't be read are the decision's to refuse.
fn channels_of(body: &command::Body) -> Vec<ChannelId> {
    let one = |bytes: &[u8]| ChannelId::from_slice(bytes).into_iter().collect();
    match body {
        command::Body::Send(send) => one(&send.channel_id),
        command::Body::Membership(membership) => one(&membership.channel_id),
        command::Body::Amend(amend) => one(&amend.channel_id),
        command::Body::Joins(records::Joins { channels, .. })
        | command::Body::Leaves(records::Leaves { channels, .. }) => {
            channels.iter().filter_map(|turn| ChannelId::from_slice(&turn.channel_id)).collect()
        }
        command::Body::EpochDead(_) => Vec::new(),
    }
}

fn members_of(body: &command::Body) -> Vec<(ChannelId, UserId)> {
    let pair =
        |channel: &[u8], user: &[u8]| Some((ChannelId::from_slice(channel)?, UserId::from_slice(user)?));
    match body {
        command::Body::Send(send) => pair(&send.channel_id, &send.sender_id).into_iter().collect(),
        command::Body::Amend(amend) => pair(&amend.channel_id, &amend.sender_id).into_iter().collect(),
        command::Body::Membership(membership) => {
            let members = membership.members.iter();
            members.filter_map(|member| pair(&membership.channel_id, &member.user_id)).collect()
        }
        _ => Vec::new(),
    }
}

/// Which interval a row is of.
fn interval(row: &ReactionRow) -> (MessageId, &str, UserId, MessageId) {
    (row.message_id, &row.emoji, row.user_id, row.from_id)
}

fn key_of(body: &command::Body) -> Option<Key> {
    match body {
        command::Body::Send(send) => Key::of(send).ok(),
        command::Body::Amend(amend) => Key::of_amend(amend).ok(),
        _ => None,
    }
}

/// The message that an amendment names, and what it decides by.
fn want_amended(amend: &records::Amend, wanted: &mut Prefetch) {
    let Some(channel) = ChannelId::from_slice(&amend.channel_id) else { return };
    let target = MessageId(amend.message_id);
    wanted.records.push((channel, target));
    match &amend.change {
        Some(records::amend::Change::Reaction(reaction)) => {
            wanted.reactions.push((channel, target, reaction.emoji.clone()));
            // Of every emoji: what a message takes of them is bounded.
            if !reaction.removed {
                wanted.reacted.push((channel, target, target));
            }
        }
        Some(records::amend::Change::Pinned(_)) => wanted.pins.push((channel, target)),
        _ => {}
    }
}

#[cfg(test)]
mod tests {
    use ringside_types::{ClientId, PartitionId, RINGSIDE_EPOCH_MS};
    use ringside_wire::records::{Channel, Membership, MembershipKind, Send};
    use uuid::Uuid;

    use super::*;

    const CHANNEL: ChannelId = ChannelId(Uuid::from_u128(1));
    const USER: UserId = UserId(Uuid::from_u128(2));

    fn input(offset: u64, command: command::Body) -> Input {
        let time = UnixMillis(RINGSIDE_EPOCH_MS + 1_000_000);
        Input { offset: Offset(offset), time, command: Ok(command), payload: Bytes::new() }
    }

    fn partition() -> Partition {
        Partition::open(Progress::start(PartitionId(3)), &[])
    }

    #[test]
    fn what_is_known_is_not_asked_for_again() {
        let key = Key { channel_id: CHANNEL, sender_id: USER, client_id: ClientId(Uuid::from_u128(3)) };
        let send = command::Body::Send(Send {
            channel_id: CHANNEL.as_bytes().to_vec().into(),
            sender_id: USER.as_bytes().to_vec().into(),
            client_id: key.client_id.as_bytes().to_vec().into(),
            ..Send::default()
        });
        let (inputs, keys) = ([input(0, send.clone()), input(1, send)], vec![key; 2]);
        let mut partition = partition();
        let wanted = partition.wants(&inputs);
        let everything = Prefetch {
            channels: vec![CHANNEL],
            interest: vec![CHANNEL],
            members: vec![(CHANNEL, USER)],
            keys: keys.clone(),
            ..Prefetch::default()
        };
        assert_eq!(wanted, everything, "what two records need is asked for once");
        partition.absorb(&wanted, &Prefetched::default());
        assert_eq!(partition.wants(&inputs), Prefetch { keys, ..Prefetch::default() });
    }

    #[test]
    fn settings_that_are_over_are_forgotten() {
        let updated = |version| {
            command::Body::Membership(Membership {
                channel_id: CHANNEL.as_bytes().to_vec().into(),
                version,
                actor_id: USER.as_bytes().to_vec().into(),
                kind: MembershipKind::Updated.into(),
                channel: Some(Channel { r#type: "group".into(), ..Channel::default() }),
                ..Membership::default()
            })
        };
        let mut partition = partition();
        for version in 1..=10 {
            let inputs = [input(version - 1, updated(version))];
            partition.absorb(&partition.wants(&inputs), &Prefetched::default());
            let batch = partition.apply(&inputs, Prefetched::default());
            assert_eq!(batch.rows.changes.len(), 1);
        }
        let versions: Vec<u64> =
            partition.cache.channel(CHANNEL).settings.iter().map(|row| row.version).collect();
        assert_eq!(versions, [9, 10], "but for those that the last record ended");
    }
}
