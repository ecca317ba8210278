//! The rows that the log owns: what a partition's processor computes, and what the store keeps.
//!
//! Every row carries the stamp of the record that wrote it, so that a later record's write always wins,
//! whatever order two owners of a partition write in.

use bytes::Bytes;
use ringside_types::authorization::ChannelKind;
use ringside_types::limits::IDEMPOTENCY_WINDOW_MS;
use ringside_types::{ChannelId, ClientId, Epoch, MessageId, Offset, PartitionId, Slot, UnixMillis, UserId};
use ringside_wire::message::ContentType;
use serde::{Deserialize, Serialize};

/// The write timestamp of a row, in microseconds: strictly rising over the records of a partition.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug, Default, Serialize, Deserialize)]
pub struct WriteTimestamp(pub u64);

/// A message. Table `messages`.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
pub struct MessageRow {
    pub channel_id: ChannelId,
    /// The id of the record that made it.
    pub message_id: MessageId,
    /// The channel's effective record before this one.
    pub prev: MessageId,
    /// Its position among the channel's messages.
    pub seq: u64,
    /// The channel's changes when it was made.
    pub change: u64,
    /// The sender's own id.
    pub client_id: ClientId,
    pub sender_id: UserId,
    pub content: String,
    pub content_type: ContentType,
    /// A JSON object, or empty.
    pub metadata: String,
    /// The message that it answers; [`MessageId::ZERO`]: none.
    pub reply_to: MessageId,
    /// The record of its last edit; [`MessageId::ZERO`]: none.
    pub edited_record: MessageId,
    /// The record that deleted it; [`MessageId::ZERO`]: none. What it said is gone from the row then.
    pub deleted_record: MessageId,
    /// The record that wrote the row.
    pub stamp: WriteTimestamp,
}

impl MessageRow {
    /// Whether the message is there as the record `id` sees it: made and not deleted by records below it.
    pub fn is_there_at(&self, id: MessageId) -> bool {
        self.message_id < id && (self.deleted_record == MessageId::ZERO || self.deleted_record >= id)
    }

    /// Whether it has been deleted.
    pub fn is_deleted(&self) -> bool {
        self.deleted_record != MessageId::ZERO
    }
}

/// An interval in which a user's reaction stands. Table `reactions`.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct ReactionRow {
    pub channel_id: ChannelId,
    pub message_id: MessageId,
    pub emoji: String,
    pub user_id: UserId,
    /// Stands for records above this one.
    pub from_id: MessageId,
    /// Up to this record; [`MessageId::ZERO`]: still.
    pub to_id: MessageId,
    /// The record that wrote the row.
    pub stamp: WriteTimestamp,
}

/// An interval in which a message is pinned. Table `pins`.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct PinRow {
    pub channel_id: ChannelId,
    pub message_id: MessageId,
    /// Pinned for records above this one.
    pub from_id: MessageId,
    /// Up to this record; [`MessageId::ZERO`]: still.
    pub to_id: MessageId,
    pub actor_id: UserId,
    /// The record that wrote the row.
    pub stamp: WriteTimestamp,
}

/// Whether an interval is in force as the record `id` sees it: by records below it alone.
pub fn holds_at(from_id: MessageId, to_id: MessageId, id: MessageId) -> bool {
    from_id < id && (to_id == MessageId::ZERO || to_id >= id)
}

/// A change of a channel. Table `channel_changes`.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
pub struct ChangeRow {
    pub channel_id: ChannelId,
    /// Its position among the channel's changes.
    pub change: u64,
    /// The id of the record that made it.
    pub record_id: MessageId,
    /// The channel's effective record before this one.
    pub prev: MessageId,
    /// The channel's messages when it was made.
    pub seq: u64,
    /// The record's `ChangeBody`, encoded.
    pub body: Bytes,
    /// The record that wrote the row.
    pub stamp: WriteTimestamp,
}

/// Where a channel stands. Table `channel_heads`.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Serialize, Deserialize)]
pub struct HeadRow {
    pub channel_id: ChannelId,
    /// Its last record that made a message or a change.
    pub last_effective_id: MessageId,
    /// Its last message.
    pub last_message_id: MessageId,
    pub last_seq: u64,
    pub last_change: u64,
    /// The record that wrote the row.
    pub stamp: WriteTimestamp,
}

impl HeadRow {
    /// The head of a channel that no record has touched.
    pub const fn empty(channel_id: ChannelId) -> Self {
        Self {
            channel_id,
            last_effective_id: MessageId::ZERO,
            last_message_id: MessageId::ZERO,
            last_seq: 0,
            last_change: 0,
            stamp: WriteTimestamp(0),
        }
    }
}

/// An interval in which a user is a member. Table `channel_membership`.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct MembershipRow {
    pub channel_id: ChannelId,
    pub user_id: UserId,
    /// Member for records above this one.
    pub from_id: MessageId,
    /// Member up to this record; [`MessageId::ZERO`]: still.
    pub to_id: MessageId,
    /// The Directory's version that opened the interval.
    pub version: u64,
    /// The Directory's version that closed it; 0: still open.
    pub to_version: u64,
    /// The channel's messages when the interval opened.
    pub from_seq: u64,
    /// Records up to this one are hidden from the member; [`MessageId::ZERO`]: none.
    pub sees_above: MessageId,
    /// `owner`, `admin`, `member`, `guest`.
    pub role: String,
    /// The record that wrote the row.
    pub stamp: WriteTimestamp,
}

impl MembershipRow {
    /// Whether the user is a member as the record `id` sees it: by records below it alone.
    pub fn holds_at(&self, id: MessageId) -> bool {
        holds_at(self.from_id, self.to_id, id)
    }
}

/// An interval in which a channel is held to settings. Table `channel_settings`; a channel that never changed has none.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct SettingsRow {
    pub channel_id: ChannelId,
    /// In force for records above this one.
    pub from_id: MessageId,
    /// Up to this record; [`MessageId::ZERO`]: still.
    pub to_id: MessageId,
    /// The Directory's version that opened the interval.
    pub version: u64,
    /// The Directory's version that closed it; 0: still open.
    pub to_version: u64,
    /// What the channel is.
    pub kind: ChannelKind,
    /// Whether admins alone post.
    pub admins_post: bool,
    /// Whether who joins doesn't see what came before.
    pub history_from_join: bool,
    /// Whether it takes no new messages: a DM of two who are apart.
    pub is_closed: bool,
    /// Whether the channel is gone.
    pub is_deleted: bool,
    /// The record that wrote the row.
    pub stamp: WriteTimestamp,
}

impl SettingsRow {
    /// Whether the settings are in force as the record `id` sees it: by records below it alone.
    pub fn holds_at(&self, id: MessageId) -> bool {
        holds_at(self.from_id, self.to_id, id)
    }
}

/// What an idempotency key stands for.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug)]
pub struct Key {
    pub channel_id: ChannelId,
    pub sender_id: UserId,
    /// The sender's own id of the request; for an amendment what [`Key::of_amend`] makes of it.
    pub client_id: ClientId,
}

/// What a key made. Table `idempotency`; rows live 72 h.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct KeyRow {
    pub key: Key,
    /// The record of the message (or change) that it made last,
    pub message_id: MessageId,
    /// and of the one that it made before, more than 24 h earlier; [`MessageId::ZERO`]: none. A replay decides by it
    /// what lies between the two.
    pub previous: MessageId,
    /// Its position in the channel.
    pub seq: u64,
    /// The record that wrote the row.
    pub stamp: WriteTimestamp,
}

impl KeyRow {
    /// The row of a key that makes something by the record `id`, having made `previous` before.
    pub fn new(
        key: Key,
        id: MessageId,
        previous: Option<MessageId>,
        seq: u64,
        stamp: WriteTimestamp,
    ) -> Self {
        Self { key, message_id: id, previous: previous.unwrap_or_default(), seq, stamp }
    }

    /// Whether a request with this key that comes now is a repetition.
    pub fn is_current(&self, now: UnixMillis) -> bool {
        now.since(self.message_id.time()) <= IDEMPOTENCY_WINDOW_MS
    }

    /// What the key had made as the record `id` sees it.
    pub fn made_below(&self, id: MessageId) -> Option<MessageId> {
        [self.message_id, self.previous].into_iter().find(|made| *made < id && *made != MessageId::ZERO)
    }
}

/// An edge that has members of a channel. Table `channel_interest`.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct InterestRow {
    pub channel_id: ChannelId,
    pub slot: Slot,
    /// The edge's lease of it.
    pub epoch: Epoch,
    /// The edge's count of its joins of this channel.
    pub n: u64,
    /// The first record of this `n`; [`MessageId::ZERO`]: the edge has left.
    pub record_id: MessageId,
    /// The record that wrote the row.
    pub stamp: WriteTimestamp,
}

/// The highest epoch that a partition has seen of a slot. Table `partition_slots`.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct SlotRow {
    pub slot: Slot,
    /// Interest below this is void.
    pub epoch: Epoch,
    /// The record that wrote the row.
    pub stamp: WriteTimestamp,
}

/// How far a user has read a channel. Table `message_status`: a register that only grows, by `last_read_seq`.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct ReadRow {
    pub user_id: UserId,
    pub channel_id: ChannelId,
    /// The last message read.
    pub last_read_id: MessageId,
    pub last_read_seq: u64,
}

/// How far a channel has come to a user's devices. Table `message_status`: a register of its own, so that neither it nor
/// the read cursor overwrites the other.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct DeliveredRow {
    pub user_id: UserId,
    pub channel_id: ChannelId,
    /// The last message delivered.
    pub last_delivered_id: MessageId,
    pub last_delivered_seq: u64,
}

/// How far a partition's processor has come. Table `partition_progress`.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Progress {
    /// The partition of `messages.send`.
    pub partition: PartitionId,
    /// The next record to apply.
    pub offset: Offset,
    /// The id of the last record applied.
    pub last: MessageId,
    /// The stamp of the last record applied.
    pub stamp: WriteTimestamp,
}

impl Progress {
    /// Before the first record.
    pub const fn start(partition: PartitionId) -> Self {
        Self { partition, offset: Offset(0), last: MessageId::ZERO, stamp: WriteTimestamp(0) }
    }
}

/// The rows of the first commit step.
#[derive(Clone, PartialEq, Eq, Debug, Default)]
pub struct Rows {
    /// New messages, and messages that were edited or deleted (the same key again).
    pub messages: Vec<MessageRow>,
    pub changes: Vec<ChangeRow>,
    /// Reactions that stand, and reactions that ended (the same key again).
    pub reactions: Vec<ReactionRow>,
    /// Pins that stand, and pins that ended.
    pub pins: Vec<PinRow>,
    /// Intervals opened, and intervals closed (the same key again).
    pub memberships: Vec<MembershipRow>,
    /// Settings that came into force, and those that they ended.
    pub settings: Vec<SettingsRow>,
    /// Keys that made messages.
    pub keys: Vec<KeyRow>,
    pub interest: Vec<InterestRow>,
    /// Interest of epochs that are over, found when it was read: to be deleted.
    pub void_interest: Vec<(ChannelId, Slot, Epoch)>,
    pub slots: Vec<SlotRow>,
    pub reads: Vec<ReadRow>,
    pub delivered: Vec<DeliveredRow>,
}

/// What a processor needs of the store before it can apply a batch.
#[derive(Clone, PartialEq, Eq, Debug, Default)]
pub struct Prefetch {
    /// Heads and settings of these channels.
    pub channels: Vec<ChannelId>,
    /// Which edges listen to these channels.
    pub interest: Vec<ChannelId>,
    /// All intervals of these users in these channels.
    pub members: Vec<(ChannelId, UserId)>,
    /// What these keys stand for.
    pub keys: Vec<Key>,
    /// What these records made: for a replay, and the messages that an amendment names.
    pub records: Vec<(ChannelId, MessageId)>,
    /// All intervals of this emoji on these messages.
    pub reactions: Vec<(ChannelId, MessageId, String)>,
    /// All intervals of any emoji on the messages from one to another, both included.
    pub reacted: Vec<(ChannelId, MessageId, MessageId)>,
    /// All intervals in which these messages are pinned.
    pub pins: Vec<(ChannelId, MessageId)>,
    /// All intervals in which any message of these channels is pinned.
    pub pinned: Vec<ChannelId>,
    /// How far these users have read, and what has come to their devices.
    pub reads: Vec<(UserId, ChannelId)>,
    /// How far these users have read, wherever they have.
    pub reads_of: Vec<UserId>,
}

impl Prefetch {
    /// How many questions it asks.
    pub fn len(&self) -> usize {
        self.channels.len()
            + self.interest.len()
            + self.members.len()
            + self.keys.len()
            + self.records.len()
            + self.reactions.len()
            + self.reacted.len()
            + self.pins.len()
            + self.pinned.len()
            + self.reads.len()
            + self.reads_of.len()
    }

    /// Whether nothing is wanted.
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }
}

/// What the store has of what was [`Prefetch`]; what it has not is simply absent.
#[derive(Clone, PartialEq, Eq, Debug, Default)]
pub struct Prefetched {
    pub heads: Vec<HeadRow>,
    /// Interest, of any epoch.
    pub interest: Vec<InterestRow>,
    /// Settings, those that are over too.
    pub settings: Vec<SettingsRow>,
    pub members: Vec<MembershipRow>,
    pub keys: Vec<KeyRow>,
    /// Messages among the wanted records.
    pub messages: Vec<MessageRow>,
    /// Changes among the wanted records.
    pub changes: Vec<ChangeRow>,
    pub reactions: Vec<ReactionRow>,
    pub pins: Vec<PinRow>,
    pub reads: Vec<ReadRow>,
    pub delivered: Vec<DeliveredRow>,
}

#[cfg(test)]
mod tests {
    use ringside_types::RINGSIDE_EPOCH_MS;
    use uuid::Uuid;

    use super::*;

    const CHANNEL: ChannelId = ChannelId(Uuid::from_u128(1));
    const USER: UserId = UserId(Uuid::from_u128(2));

    #[test]
    fn a_key_is_current_for_a_day() {
        let made_at = UnixMillis(RINGSIDE_EPOCH_MS + 1_000_000);
        let made = MessageId::following(MessageId::ZERO, made_at, PartitionId(3));
        let key = Key { channel_id: CHANNEL, sender_id: USER, client_id: ClientId(Uuid::from_u128(3)) };
        let row = KeyRow::new(key, made, None, 1, WriteTimestamp(1));
        for (later_ms, expected) in
            [(0, true), (IDEMPOTENCY_WINDOW_MS, true), (IDEMPOTENCY_WINDOW_MS + 1, false)]
        {
            assert_eq!(row.is_current(made_at.plus_ms(later_ms)), expected, "{later_ms} ms later");
        }
    }

    #[test]
    fn a_record_sees_what_those_below_it_made_and_did_not_delete() {
        let message = |deleted_record| MessageRow {
            channel_id: CHANNEL,
            message_id: MessageId(5),
            prev: MessageId::ZERO,
            seq: 1,
            change: 0,
            client_id: ClientId(Uuid::nil()),
            sender_id: USER,
            content: String::new(),
            content_type: ContentType::Text,
            metadata: String::new(),
            reply_to: MessageId::ZERO,
            edited_record: MessageId::ZERO,
            deleted_record: MessageId(deleted_record),
            stamp: WriteTimestamp(5),
        };
        for (deleted, id, is_there) in
            [(0, 5, false), (0, 6, true), (7, 5, false), (7, 6, true), (7, 7, true), (7, 8, false)]
        {
            assert_eq!(message(deleted).is_there_at(MessageId(id)), is_there, "{deleted}: by {id}");
            assert_eq!(
                holds_at(MessageId(5), MessageId(deleted), MessageId(id)),
                is_there,
                "{deleted}: by {id}"
            );
        }
    }

    #[test]
    fn a_prefetch_is_empty_when_nothing_at_all_is_wanted() {
        let (nothing, message) = (Prefetch::default, MessageId(1));
        assert!(nothing().is_empty());
        for wanted in [
            Prefetch { channels: vec![CHANNEL], ..nothing() },
            Prefetch { interest: vec![CHANNEL], ..nothing() },
            Prefetch { members: vec![(CHANNEL, USER)], ..nothing() },
            Prefetch {
                keys: vec![Key { channel_id: CHANNEL, sender_id: USER, client_id: ClientId(Uuid::nil()) }],
                ..nothing()
            },
            Prefetch { records: vec![(CHANNEL, message)], ..nothing() },
            Prefetch { reactions: vec![(CHANNEL, message, "+1".into())], ..nothing() },
            Prefetch { reacted: vec![(CHANNEL, message, message)], ..nothing() },
            Prefetch { pins: vec![(CHANNEL, message)], ..nothing() },
            Prefetch { pinned: vec![CHANNEL], ..nothing() },
            Prefetch { reads: vec![(USER, CHANNEL)], ..nothing() },
            Prefetch { reads_of: vec![USER], ..nothing() },
        ] {
            assert!(!wanted.is_empty(), "{wanted:?}");
        }
    }
}
