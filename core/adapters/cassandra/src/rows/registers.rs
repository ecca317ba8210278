//! Idempotency keys, what a partition keeps of itself, and the registers that only grow.

use ringside_domain::rows::{DeliveredRow, Key, KeyRow, Progress, ReadRow, SlotRow, WriteTimestamp};
use ringside_types::{ChannelId, ClientId, Epoch, MessageId, Offset, PartitionId, Slot, UserId};

use super::{Columns, Row, Stored, Values};
use crate::statements::Statement;

impl Row for KeyRow {
    const PUT: Statement = Statement::PutKey;

    fn rank(&self) -> u64 {
        self.stamp.0
    }

    fn columns(&self) -> Values {
        Values::default()
            .uuid(self.key.channel_id.0)
            .uuid(self.key.sender_id.0)
            .uuid(self.key.client_id.0)
            .u64(self.message_id.0)
            .u64(self.previous.0)
            .u64(self.seq)
    }
}

impl Stored for KeyRow {
    fn read(columns: &mut Columns) -> Option<Self> {
        let key = Key {
            channel_id: ChannelId(columns.uuid()?),
            sender_id: UserId(columns.uuid()?),
            client_id: ClientId(columns.uuid()?),
        };
        let (message_id, previous, seq) = (columns.id()?, columns.id()?, columns.u64()?);
        Some(Self { key, message_id, previous, seq, stamp: columns.stamp()? })
    }
}

/// An epoch that a partition has seen.
pub(crate) struct SlotOf {
    pub(crate) partition: PartitionId,
    pub(crate) row: SlotRow,
}

impl Row for SlotOf {
    const PUT: Statement = Statement::PutSlot;

    fn rank(&self) -> u64 {
        self.row.stamp.0
    }

    fn columns(&self) -> Values {
        Values::default().u16(self.partition.0).u16(self.row.slot.0).u64(self.row.epoch.0)
    }
}

impl Stored for SlotRow {
    fn read(columns: &mut Columns) -> Option<Self> {
        let _partition = columns.u16()?;
        let (slot, epoch) = (Slot(columns.u16()?), Epoch(columns.u64()?));
        Some(Self { slot, epoch, stamp: columns.stamp()? })
    }
}

impl Row for ReadRow {
    const PUT: Statement = Statement::PutRead;

    fn rank(&self) -> u64 {
        self.last_read_seq
    }

    fn columns(&self) -> Values {
        let key = Values::default().uuid(self.user_id.0).uuid(self.channel_id.0);
        key.u64(self.last_read_id.0).u64(self.last_read_seq)
    }
}

impl Row for DeliveredRow {
    const PUT: Statement = Statement::PutDelivered;

    fn rank(&self) -> u64 {
        self.last_delivered_seq
    }

    fn columns(&self) -> Values {
        let key = Values::default().uuid(self.user_id.0).uuid(self.channel_id.0);
        key.u64(self.last_delivered_id.0).u64(self.last_delivered_seq)
    }
}

/// A row of `message_status`: either register may never have been written.
pub(crate) struct StatusRow {
    pub(crate) read: Option<ReadRow>,
    pub(crate) delivered: Option<DeliveredRow>,
}

impl Stored for StatusRow {
    fn read(columns: &mut Columns) -> Option<Self> {
        let (user_id, channel_id) = (UserId(columns.uuid()?), ChannelId(columns.uuid()?));
        let read = register(columns)?;
        let delivered = register(columns)?;
        Some(Self {
            read: read.map(|(last_read_id, last_read_seq)| ReadRow {
                user_id,
                channel_id,
                last_read_id,
                last_read_seq,
            }),
            delivered: delivered.map(|(last_delivered_id, last_delivered_seq)| DeliveredRow {
                user_id,
                channel_id,
                last_delivered_id,
                last_delivered_seq,
            }),
        })
    }
}

/// A register's two columns: both are there, or neither.
fn register(columns: &mut Columns) -> Option<Option<(MessageId, u64)>> {
    match (columns.0.next()?, columns.0.next()?) {
        (None, None) => Some(None),
        (Some(id), Some(seq)) => {
            let (id, seq) = (id.as_bigint()?.try_into().ok()?, seq.as_bigint()?.try_into().ok()?);
            Some(Some((MessageId(id), seq)))
        }
        _ => None,
    }
}

impl Row for Progress {
    const PUT: Statement = Statement::PutProgress;

    fn rank(&self) -> u64 {
        self.offset.0
    }

    fn columns(&self) -> Values {
        Values::default().u16(self.partition.0).u64(self.offset.0).u64(self.last.0).u64(self.stamp.0)
    }
}

impl Stored for Progress {
    fn read(columns: &mut Columns) -> Option<Self> {
        Some(Self {
            partition: PartitionId(columns.u16()?),
            offset: Offset(columns.u64()?),
            last: columns.id()?,
            stamp: WriteTimestamp(columns.u64()?),
        })
    }
}
