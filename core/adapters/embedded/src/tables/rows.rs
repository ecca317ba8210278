//! How each row becomes a key and a value, and back.
//!
//! What the key holds is not repeated in the value. [`Row::rank`] stands right after the value's format, so that the
//! writer finds out which of two writes wins without reading the rest.

use bytes::Bytes;
use ringside_domain::rows::{
    ChangeRow, DeliveredRow, HeadRow, InterestRow, Key, KeyRow, MembershipRow, MessageRow, Progress, ReadRow,
    SlotRow, WriteTimestamp,
};
use ringside_types::{ChannelId, ClientId, Epoch, MessageId, Offset, PartitionId, Slot, UserId};
use ringside_wire::message::ContentType;

use super::layout::{Builder, Reader};

/// A row of a table.
pub(crate) trait Row: Sized {
    fn key(&self) -> Vec<u8>;
    /// What decides between two writes of one key: the greater wins, equal ones are the same.
    fn rank(&self) -> u64;
    /// The channel whose log gives the rank as a stamp; `None`: the rank is no stamp, or of no single channel.
    fn stamped_by(&self) -> Option<ChannelId>;
    fn value(&self) -> Vec<u8>;
    /// Reads it back; `None`: damaged.
    fn read(key: &[u8], value: &[u8]) -> Option<Self>;
}

/// The key of one message, and the bound of a range of messages.
pub(crate) fn message_key(channel: ChannelId, id: MessageId) -> Vec<u8> {
    Builder::default().raw(channel.as_bytes()).u64(id.0).done()
}

impl Row for MessageRow {
    fn key(&self) -> Vec<u8> {
        message_key(self.channel_id, self.message_id)
    }

    fn rank(&self) -> u64 {
        self.stamp.0
    }

    fn stamped_by(&self) -> Option<ChannelId> {
        Some(self.channel_id)
    }

    fn value(&self) -> Vec<u8> {
        let content_type = match self.content_type {
            ContentType::Text => 0,
            ContentType::Image => 1,
            ContentType::File => 2,
            ContentType::Reply => 3,
        };
        Builder::value(self.stamp.0, 89 + self.content.len() + self.metadata.len())
            .u64(self.prev.0)
            .u64(self.seq)
            .u64(self.change)
            .u64(self.reply_to.0)
            .raw(self.client_id.as_bytes())
            .raw(self.sender_id.as_bytes())
            .u8(content_type)
            .sized(self.content.as_bytes())
            .sized(self.metadata.as_bytes())
            .u64(self.edited_record.0)
            .u64(self.deleted_record.0)
            .done()
    }

    fn read(key: &[u8], value: &[u8]) -> Option<Self> {
        let mut key = Reader::key(key);
        let (stamp, mut value) = Reader::value(value)?;
        let mut row = Self {
            channel_id: ChannelId(key.uuid()?),
            message_id: MessageId(key.u64()?),
            prev: MessageId(value.u64()?),
            seq: value.u64()?,
            change: value.u64()?,
            reply_to: MessageId(value.u64()?),
            client_id: ClientId(value.uuid()?),
            sender_id: UserId(value.uuid()?),
            content_type: match value.u8()? {
                0 => ContentType::Text,
                1 => ContentType::Image,
                2 => ContentType::File,
                3 => ContentType::Reply,
                _ => return None,
            },
            content: value.text()?,
            metadata: value.text()?,
            edited_record: MessageId::ZERO,
            deleted_record: MessageId::ZERO,
            stamp: WriteTimestamp(stamp),
        };
        key.end()?;
        // Rows of the first version end here.
        if !value.is_empty() {
            (row.edited_record, row.deleted_record) = (MessageId(value.u64()?), MessageId(value.u64()?));
            value.end()?;
        }
        Some(row)
    }
}

/// The key of one change, and the bound of a range of changes.
pub(crate) fn change_key(channel: ChannelId, change: u64) -> Vec<u8> {
    Builder::default().raw(channel.as_bytes()).u64(change).done()
}

impl Row for ChangeRow {
    fn key(&self) -> Vec<u8> {
        change_key(self.channel_id, self.change)
    }

    fn rank(&self) -> u64 {
        self.stamp.0
    }

    fn stamped_by(&self) -> Option<ChannelId> {
        Some(self.channel_id)
    }

    fn value(&self) -> Vec<u8> {
        Builder::value(self.stamp.0, 24 + self.body.len())
            .u64(self.record_id.0)
            .u64(self.prev.0)
            .u64(self.seq)
            .raw(&self.body)
            .done()
    }

    fn read(key: &[u8], value: &[u8]) -> Option<Self> {
        let mut key = Reader::key(key);
        let (stamp, mut value) = Reader::value(value)?;
        let row = Self {
            channel_id: ChannelId(key.uuid()?),
            change: key.u64()?,
            record_id: MessageId(value.u64()?),
            prev: MessageId(value.u64()?),
            seq: value.u64()?,
            body: Bytes::copy_from_slice(value.rest()),
            stamp: WriteTimestamp(stamp),
        };
        key.end()?;
        Some(row)
    }
}

/// Which change a record made: a replay asks by record.
pub(crate) struct ChangeOfRecord {
    pub(crate) channel_id: ChannelId,
    pub(crate) record_id: MessageId,
    pub(crate) change: u64,
    pub(crate) stamp: WriteTimestamp,
}

impl Row for ChangeOfRecord {
    fn key(&self) -> Vec<u8> {
        message_key(self.channel_id, self.record_id)
    }

    fn rank(&self) -> u64 {
        self.stamp.0
    }

    fn stamped_by(&self) -> Option<ChannelId> {
        Some(self.channel_id)
    }

    fn value(&self) -> Vec<u8> {
        Builder::value(self.stamp.0, 8).u64(self.change).done()
    }

    fn read(key: &[u8], value: &[u8]) -> Option<Self> {
        let mut key = Reader::key(key);
        let (stamp, mut value) = Reader::value(value)?;
        let (channel_id, record_id) = (ChannelId(key.uuid()?), MessageId(key.u64()?));
        let change = value.u64()?;
        key.end()?;
        value.end()?;
        Some(Self { channel_id, record_id, change, stamp: WriteTimestamp(stamp) })
    }
}

impl Row for HeadRow {
    fn key(&self) -> Vec<u8> {
        self.channel_id.as_bytes().to_vec()
    }

    fn rank(&self) -> u64 {
        self.stamp.0
    }

    fn stamped_by(&self) -> Option<ChannelId> {
        Some(self.channel_id)
    }

    fn value(&self) -> Vec<u8> {
        Builder::value(self.stamp.0, 32)
            .u64(self.last_effective_id.0)
            .u64(self.last_message_id.0)
            .u64(self.last_seq)
            .u64(self.last_change)
            .done()
    }

    fn read(key: &[u8], value: &[u8]) -> Option<Self> {
        let (stamp, mut value) = Reader::value(value)?;
        let row = Self {
            channel_id: ChannelId::from_slice(key)?,
            last_effective_id: MessageId(value.u64()?),
            last_message_id: MessageId(value.u64()?),
            last_seq: value.u64()?,
            last_change: value.u64()?,
            stamp: WriteTimestamp(stamp),
        };
        value.end()?;
        Some(row)
    }
}

/// What the keys of all intervals of a user in a channel begin with.
pub(crate) fn member_prefix(channel: ChannelId, user: UserId) -> Vec<u8> {
    Builder::default().raw(channel.as_bytes()).raw(user.as_bytes()).done()
}

impl Row for MembershipRow {
    fn key(&self) -> Vec<u8> {
        Builder::default()
            .raw(self.channel_id.as_bytes())
            .raw(self.user_id.as_bytes())
            .u64(self.from_id.0)
            .done()
    }

    fn rank(&self) -> u64 {
        self.stamp.0
    }

    fn stamped_by(&self) -> Option<ChannelId> {
        Some(self.channel_id)
    }

    fn value(&self) -> Vec<u8> {
        let value = Builder::value(self.stamp.0, 41 + self.role.len())
            .u64(self.to_id.0)
            .u64(self.version)
            .u64(self.to_version)
            .u64(self.from_seq)
            .raw(self.role.as_bytes());
        // As rows of the first version, where nothing is hidden. No role holds a NUL.
        if self.sees_above == MessageId::ZERO { value } else { value.u8(0).u64(self.sees_above.0) }.done()
    }

    fn read(key: &[u8], value: &[u8]) -> Option<Self> {
        let mut key = Reader::key(key);
        let (stamp, mut value) = Reader::value(value)?;
        let mut row = Self {
            channel_id: ChannelId(key.uuid()?),
            user_id: UserId(key.uuid()?),
            from_id: MessageId(key.u64()?),
            to_id: MessageId(value.u64()?),
            version: value.u64()?,
            to_version: value.u64()?,
            from_seq: value.u64()?,
            sees_above: MessageId::ZERO,
            role: String::new(),
            stamp: WriteTimestamp(stamp),
        };
        let rest = value.rest();
        let mut role = rest;
        if let Some(end) = rest.iter().position(|byte| *byte == 0) {
            role = &rest[..end];
            row.sees_above = MessageId(u64::from_be_bytes(rest[end + 1..].try_into().ok()?));
        }
        row.role = String::from_utf8(role.to_vec()).ok()?;
        key.end()?;
        Some(row)
    }
}

/// The key of an idempotency key's row.
pub(crate) fn key_key(key: &Key) -> Vec<u8> {
    Builder::default()
        .raw(key.channel_id.as_bytes())
        .raw(key.sender_id.as_bytes())
        .raw(key.client_id.as_bytes())
        .done()
}

impl Row for KeyRow {
    fn key(&self) -> Vec<u8> {
        key_key(&self.key)
    }

    fn rank(&self) -> u64 {
        self.stamp.0
    }

    fn stamped_by(&self) -> Option<ChannelId> {
        Some(self.key.channel_id)
    }

    fn value(&self) -> Vec<u8> {
        Builder::value(self.stamp.0, 24).u64(self.message_id.0).u64(self.seq).u64(self.previous.0).done()
    }

    fn read(key: &[u8], value: &[u8]) -> Option<Self> {
        let mut key = Reader::key(key);
        let (stamp, mut value) = Reader::value(value)?;
        let mut row = Self {
            key: Key {
                channel_id: ChannelId(key.uuid()?),
                sender_id: UserId(key.uuid()?),
                client_id: ClientId(key.uuid()?),
            },
            message_id: MessageId(value.u64()?),
            seq: value.u64()?,
            previous: MessageId::ZERO,
            stamp: WriteTimestamp(stamp),
        };
        key.end()?;
        // Rows of the first version end here.
        if !value.is_empty() {
            row.previous = MessageId(value.u64()?);
            value.end()?;
        }
        Some(row)
    }
}

/// The key of an edge's interest in a channel.
pub(crate) fn interest_key(channel: ChannelId, slot: Slot, epoch: Epoch) -> Vec<u8> {
    Builder::default().raw(channel.as_bytes()).u16(slot.0).u64(epoch.0).done()
}

impl Row for InterestRow {
    fn key(&self) -> Vec<u8> {
        interest_key(self.channel_id, self.slot, self.epoch)
    }

    fn rank(&self) -> u64 {
        self.stamp.0
    }

    fn stamped_by(&self) -> Option<ChannelId> {
        Some(self.channel_id)
    }

    fn value(&self) -> Vec<u8> {
        Builder::value(self.stamp.0, 16).u64(self.n).u64(self.record_id.0).done()
    }

    fn read(key: &[u8], value: &[u8]) -> Option<Self> {
        let mut key = Reader::key(key);
        let (stamp, mut value) = Reader::value(value)?;
        let row = Self {
            channel_id: ChannelId(key.uuid()?),
            slot: Slot(key.u16()?),
            epoch: Epoch(key.u64()?),
            n: value.u64()?,
            record_id: MessageId(value.u64()?),
            stamp: WriteTimestamp(stamp),
        };
        key.end()?;
        value.end()?;
        Some(row)
    }
}

/// The key of a read cursor.
pub(crate) fn read_key(user: UserId, channel: ChannelId) -> Vec<u8> {
    Builder::default().raw(user.as_bytes()).raw(channel.as_bytes()).done()
}

impl Row for ReadRow {
    fn key(&self) -> Vec<u8> {
        read_key(self.user_id, self.channel_id)
    }

    fn rank(&self) -> u64 {
        self.last_read_seq
    }

    fn stamped_by(&self) -> Option<ChannelId> {
        None
    }

    fn value(&self) -> Vec<u8> {
        Builder::value(self.last_read_seq, 8).u64(self.last_read_id.0).done()
    }

    fn read(key: &[u8], value: &[u8]) -> Option<Self> {
        let mut key = Reader::key(key);
        let (last_read_seq, mut value) = Reader::value(value)?;
        let (user_id, channel_id) = (UserId(key.uuid()?), ChannelId(key.uuid()?));
        let last_read_id = MessageId(value.u64()?);
        key.end()?;
        value.end()?;
        Some(Self { user_id, channel_id, last_read_id, last_read_seq })
    }
}

impl Row for DeliveredRow {
    fn key(&self) -> Vec<u8> {
        read_key(self.user_id, self.channel_id)
    }

    fn rank(&self) -> u64 {
        self.last_delivered_seq
    }

    fn stamped_by(&self) -> Option<ChannelId> {
        None
    }

    fn value(&self) -> Vec<u8> {
        Builder::value(self.last_delivered_seq, 8).u64(self.last_delivered_id.0).done()
    }

    fn read(key: &[u8], value: &[u8]) -> Option<Self> {
        let mut key = Reader::key(key);
        let (last_delivered_seq, mut value) = Reader::value(value)?;
        let (user_id, channel_id) = (UserId(key.uuid()?), ChannelId(key.uuid()?));
        let last_delivered_id = MessageId(value.u64()?);
        key.end()?;
        value.end()?;
        Some(Self { user_id, channel_id, last_delivered_id, last_delivered_seq })
    }
}

/// A partition's own rows share the table `partitions`: the key's first byte tells them apart.
const PROGRESS: u8 = b'p';
const SLOT: u8 = b's';
const HIGHEST: u8 = b'h';

/// The key of the highest stamp written to rows of a partition's channels.
pub(crate) fn highest_key(partition: PartitionId) -> Vec<u8> {
    Builder::default().u8(HIGHEST).u16(partition.0).done()
}

/// The key of a partition's progress.
pub(crate) fn progress_key(partition: PartitionId) -> Vec<u8> {
    Builder::default().u8(PROGRESS).u16(partition.0).done()
}

impl Row for Progress {
    fn key(&self) -> Vec<u8> {
        progress_key(self.partition)
    }

    fn rank(&self) -> u64 {
        self.offset.0
    }

    fn stamped_by(&self) -> Option<ChannelId> {
        None
    }

    fn value(&self) -> Vec<u8> {
        Builder::value(self.offset.0, 16).u64(self.last.0).u64(self.stamp.0).done()
    }

    fn read(key: &[u8], value: &[u8]) -> Option<Self> {
        let mut key = Reader::key(key);
        let (offset, mut value) = Reader::value(value)?;
        (key.u8()? == PROGRESS).then_some(())?;
        let partition = PartitionId(key.u16()?);
        let (last, stamp) = (MessageId(value.u64()?), WriteTimestamp(value.u64()?));
        key.end()?;
        value.end()?;
        Some(Self { partition, offset: Offset(offset), last, stamp })
    }
}

/// An epoch that a partition has seen.
pub(crate) struct SlotOf {
    pub(crate) partition: PartitionId,
    pub(crate) row: SlotRow,
}

/// What the keys of all slots of a partition begin with.
pub(crate) fn slot_prefix(partition: PartitionId) -> Vec<u8> {
    Builder::default().u8(SLOT).u16(partition.0).done()
}

impl Row for SlotOf {
    fn key(&self) -> Vec<u8> {
        Builder::default().u8(SLOT).u16(self.partition.0).u16(self.row.slot.0).done()
    }

    fn rank(&self) -> u64 {
        self.row.stamp.0
    }

    fn stamped_by(&self) -> Option<ChannelId> {
        None
    }

    fn value(&self) -> Vec<u8> {
        Builder::value(self.row.stamp.0, 8).u64(self.row.epoch.0).done()
    }

    fn read(key: &[u8], value: &[u8]) -> Option<Self> {
        let mut key = Reader::key(key);
        let (stamp, mut value) = Reader::value(value)?;
        (key.u8()? == SLOT).then_some(())?;
        let (partition, slot) = (PartitionId(key.u16()?), Slot(key.u16()?));
        let epoch = Epoch(value.u64()?);
        key.end()?;
        value.end()?;
        Some(Self { partition, row: SlotRow { slot, epoch, stamp: WriteTimestamp(stamp) } })
    }
}

#[cfg(test)]
pub(super) mod tests {
    use super::*;
    use uuid::Uuid;

    pub(crate) fn comes_back<R: Row + PartialEq + std::fmt::Debug>(row: R) {
        let (key, value) = (row.key(), row.value());
        assert_eq!(super::super::layout::stamp_of(&value), Some(row.rank()));
        for cut in 0..key.len() {
            assert!(R::read(&key[..cut], &value).is_none(), "a key cut at {cut} is damage");
        }
        for cut in 0..9 {
            assert!(R::read(&key, &value[..cut]).is_none(), "a value cut at {cut} is damage");
        }
        let mut other_format = value.clone();
        other_format[0] += 1;
        assert!(R::read(&key, &other_format).is_none(), "a format of the future is not guessed at");
        assert_eq!(R::read(&key, &value), Some(row));
    }

    #[test]
    fn every_row_comes_back_and_damage_is_seen() {
        let (channel_id, user_id) = (ChannelId(Uuid::from_u128(1)), UserId(Uuid::from_u128(2)));
        let (client_id, stamp) = (ClientId(Uuid::from_u128(3)), WriteTimestamp(99));
        comes_back(MessageRow {
            channel_id,
            message_id: MessageId(5),
            prev: MessageId(4),
            seq: 3,
            change: 2,
            client_id,
            sender_id: user_id,
            content: "häuser".into(),
            content_type: ContentType::Reply,
            metadata: "{}".into(),
            reply_to: MessageId(1),
            edited_record: MessageId(8),
            deleted_record: MessageId(9),
            stamp,
        });
        comes_back(ChangeRow {
            channel_id,
            change: 7,
            record_id: MessageId(5),
            prev: MessageId(4),
            seq: 3,
            body: Bytes::from_static(b"body"),
            stamp,
        });
        comes_back(HeadRow {
            channel_id,
            last_effective_id: MessageId(5),
            last_message_id: MessageId(4),
            last_seq: 3,
            last_change: 2,
            stamp,
        });
        for sees_above in [MessageId::ZERO, MessageId(5)] {
            comes_back(MembershipRow {
                channel_id,
                user_id,
                from_id: MessageId(5),
                to_id: MessageId(6),
                version: 1,
                to_version: 2,
                from_seq: 3,
                sees_above,
                role: "owner".into(),
                stamp,
            });
        }
        let key = Key { channel_id, sender_id: user_id, client_id };
        comes_back(KeyRow { key, message_id: MessageId(5), previous: MessageId(2), seq: 3, stamp });
        comes_back(InterestRow {
            channel_id,
            slot: Slot(1),
            epoch: Epoch(2),
            n: 3,
            record_id: MessageId(4),
            stamp,
        });
        comes_back(ReadRow { user_id, channel_id, last_read_id: MessageId(5), last_read_seq: 3 });
        let (last_delivered_id, last_delivered_seq) = (MessageId(6), 4);
        comes_back(DeliveredRow { user_id, channel_id, last_delivered_id, last_delivered_seq });
        comes_back(Progress { partition: PartitionId(3), offset: Offset(4), last: MessageId(5), stamp });
    }

    #[test]
    fn rows_of_the_first_version_are_read() {
        let (channel_id, user_id) = (ChannelId(Uuid::from_u128(1)), UserId(Uuid::from_u128(2)));
        let client_id = ClientId(Uuid::from_u128(3));
        let message = MessageRow {
            channel_id,
            message_id: MessageId(5),
            prev: MessageId(4),
            seq: 3,
            change: 2,
            client_id,
            sender_id: user_id,
            content: "old".into(),
            content_type: ContentType::Text,
            metadata: String::new(),
            reply_to: MessageId::ZERO,
            edited_record: MessageId::ZERO,
            deleted_record: MessageId::ZERO,
            stamp: WriteTimestamp(99),
        };
        let (key, value) = (message.key(), message.value());
        assert_eq!(MessageRow::read(&key, &value[..value.len() - 16]), Some(message));
        let key = Key { channel_id, sender_id: user_id, client_id };
        let row = KeyRow {
            key,
            message_id: MessageId(5),
            previous: MessageId::ZERO,
            seq: 3,
            stamp: WriteTimestamp(9),
        };
        assert_eq!(KeyRow::read(&row.key(), &row.value()[..25]), Some(row));
    }

    #[test]
    fn keys_sort_as_their_numbers_do() {
        let channel = ChannelId(Uuid::from_u128(1));
        let ids = [0, 1, 255, 256, 65_535, 65_536, u64::MAX];
        let keys: Vec<_> = ids.iter().map(|id| message_key(channel, MessageId(*id))).collect();
        assert!(keys.is_sorted());
    }
}
