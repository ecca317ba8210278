//! What a channel is: its head, changes, members, settings, and the edges that listen to it.

use ringside_domain::rows::{ChangeRow, HeadRow, InterestRow, MembershipRow, SettingsRow, WriteTimestamp};
use ringside_types::authorization::ChannelKind;
use ringside_types::{ChannelId, Epoch, MessageId, Slot, UserId};

use super::{Columns, Row, Stored, Values};
use crate::buckets::{CHANGES_PER_BUCKET, Month};
use crate::statements::Statement;

impl Row for ChangeRow {
    const PUT: Statement = Statement::PutChange;

    fn rank(&self) -> u64 {
        self.stamp.0
    }

    fn columns(&self) -> Values {
        Values::default()
            .uuid(self.channel_id.0)
            .u64(self.change / CHANGES_PER_BUCKET)
            .u64(self.change)
            .u64(self.record_id.0)
            .u64(self.prev.0)
            .u64(self.seq)
            .blob(&self.body)
    }
}

impl Stored for ChangeRow {
    fn read(columns: &mut Columns) -> Option<Self> {
        let (channel_id, bucket) = (ChannelId(columns.uuid()?), columns.u64()?);
        let row = Self {
            channel_id,
            change: columns.u64()?,
            record_id: columns.id()?,
            prev: columns.id()?,
            seq: columns.u64()?,
            body: columns.blob()?,
            stamp: columns.stamp()?,
        };
        (row.change / CHANGES_PER_BUCKET == bucket).then_some(row)
    }
}

/// Which change a record made.
pub(crate) struct ChangeOfRecord {
    pub(crate) channel_id: ChannelId,
    pub(crate) record_id: MessageId,
    pub(crate) change: u64,
    pub(crate) stamp: WriteTimestamp,
}

impl Row for ChangeOfRecord {
    const PUT: Statement = Statement::PutChangeRecord;

    fn rank(&self) -> u64 {
        self.stamp.0
    }

    fn columns(&self) -> Values {
        Values::default()
            .uuid(self.channel_id.0)
            .text(Month::of(self.record_id).to_string())
            .u64(self.record_id.0)
            .u64(self.change)
    }
}

impl Stored for ChangeOfRecord {
    fn read(columns: &mut Columns) -> Option<Self> {
        let (channel_id, _bucket) = (ChannelId(columns.uuid()?), columns.text()?);
        let (record_id, change, stamp) = (columns.id()?, columns.u64()?, columns.stamp()?);
        Some(Self { channel_id, record_id, change, stamp })
    }
}

impl Row for HeadRow {
    const PUT: Statement = Statement::PutHead;

    fn rank(&self) -> u64 {
        self.stamp.0
    }

    fn columns(&self) -> Values {
        Values::default()
            .uuid(self.channel_id.0)
            .u64(self.last_effective_id.0)
            .u64(self.last_message_id.0)
            .u64(self.last_seq)
            .u64(self.last_change)
    }
}

impl Stored for HeadRow {
    fn read(columns: &mut Columns) -> Option<Self> {
        Some(Self {
            channel_id: ChannelId(columns.uuid()?),
            last_effective_id: columns.id()?,
            last_message_id: columns.id()?,
            last_seq: columns.u64()?,
            last_change: columns.u64()?,
            stamp: columns.stamp()?,
        })
    }
}

impl Row for MembershipRow {
    const PUT: Statement = Statement::PutMembership;

    fn rank(&self) -> u64 {
        self.stamp.0
    }

    fn columns(&self) -> Values {
        Values::default()
            .uuid(self.channel_id.0)
            .uuid(self.user_id.0)
            .u64(self.from_id.0)
            .u64(self.to_id.0)
            .u64(self.version)
            .u64(self.to_version)
            .u64(self.from_seq)
            .u64(self.sees_above.0)
            .text(&self.role)
    }
}

impl Stored for MembershipRow {
    fn read(columns: &mut Columns) -> Option<Self> {
        Some(Self {
            channel_id: ChannelId(columns.uuid()?),
            user_id: UserId(columns.uuid()?),
            from_id: columns.id()?,
            to_id: columns.id()?,
            version: columns.u64()?,
            to_version: columns.u64()?,
            from_seq: columns.u64()?,
            sees_above: columns.id()?,
            role: columns.text()?,
            stamp: columns.stamp()?,
        })
    }
}

impl Row for SettingsRow {
    const PUT: Statement = Statement::PutSettings;

    fn rank(&self) -> u64 {
        self.stamp.0
    }

    fn columns(&self) -> Values {
        Values::default()
            .uuid(self.channel_id.0)
            .u64(self.from_id.0)
            .u64(self.to_id.0)
            .u64(self.version)
            .u64(self.to_version)
            .text(self.kind.name())
            .boolean(self.admins_post)
            .boolean(self.history_from_join)
            .boolean(self.is_closed)
            .boolean(self.is_deleted)
    }
}

impl Stored for SettingsRow {
    fn read(columns: &mut Columns) -> Option<Self> {
        Some(Self {
            channel_id: ChannelId(columns.uuid()?),
            from_id: columns.id()?,
            to_id: columns.id()?,
            version: columns.u64()?,
            to_version: columns.u64()?,
            kind: ChannelKind::from_name(&columns.text()?)?,
            admins_post: columns.boolean()?,
            history_from_join: columns.boolean()?,
            is_closed: columns.boolean()?,
            is_deleted: columns.boolean()?,
            stamp: columns.stamp()?,
        })
    }
}

impl Row for InterestRow {
    const PUT: Statement = Statement::PutInterest;

    fn rank(&self) -> u64 {
        self.stamp.0
    }

    fn columns(&self) -> Values {
        let key = Values::default().uuid(self.channel_id.0).u16(self.slot.0).u64(self.epoch.0);
        key.u64(self.n).u64(self.record_id.0)
    }
}

impl Stored for InterestRow {
    fn read(columns: &mut Columns) -> Option<Self> {
        Some(Self {
            channel_id: ChannelId(columns.uuid()?),
            slot: Slot(columns.u16()?),
            epoch: Epoch(columns.u64()?),
            n: columns.u64()?,
            record_id: columns.id()?,
            stamp: columns.stamp()?,
        })
    }
}
