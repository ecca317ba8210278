//! Keys and values of what channels are held to.

use ringside_domain::rows::{SettingsRow, WriteTimestamp};
use ringside_types::authorization::ChannelKind;
use ringside_types::{ChannelId, MessageId};

use super::layout::{Builder, Reader};
use super::rows::{Row, message_key};

const ADMINS_POST: u8 = 1;
const HISTORY_FROM_JOIN: u8 = 1 << 1;
const IS_CLOSED: u8 = 1 << 2;
const IS_DELETED: u8 = 1 << 3;

impl Row for SettingsRow {
    fn key(&self) -> Vec<u8> {
        message_key(self.channel_id, self.from_id)
    }

    fn rank(&self) -> u64 {
        self.stamp.0
    }

    fn stamped_by(&self) -> Option<ChannelId> {
        Some(self.channel_id)
    }

    fn value(&self) -> Vec<u8> {
        let flags = [
            (self.admins_post, ADMINS_POST),
            (self.history_from_join, HISTORY_FROM_JOIN),
            (self.is_closed, IS_CLOSED),
            (self.is_deleted, IS_DELETED),
        ];
        let flags = flags.iter().filter(|(is_set, _)| *is_set).fold(0, |flags, (_, flag)| flags | flag);
        Builder::value(self.stamp.0, 33)
            .u64(self.to_id.0)
            .u64(self.version)
            .u64(self.to_version)
            .u8(flags)
            .sized(self.kind.name().as_bytes())
            .done()
    }

    fn read(key: &[u8], value: &[u8]) -> Option<Self> {
        let mut key = Reader::key(key);
        let (stamp, mut value) = Reader::value(value)?;
        let (channel_id, from_id) = (ChannelId(key.uuid()?), MessageId(key.u64()?));
        let (to_id, version, to_version) = (MessageId(value.u64()?), value.u64()?, value.u64()?);
        let flags = value.u8()?;
        let row = Self {
            channel_id,
            from_id,
            to_id,
            version,
            to_version,
            kind: ChannelKind::from_name(&value.text()?)?,
            admins_post: flags & ADMINS_POST != 0,
            history_from_join: flags & HISTORY_FROM_JOIN != 0,
            is_closed: flags & IS_CLOSED != 0,
            is_deleted: flags & IS_DELETED != 0,
            stamp: WriteTimestamp(stamp),
        };
        key.end()?;
        value.end()?;
        Some(row)
    }
}

#[cfg(test)]
mod tests {
    use super::super::rows::tests::comes_back;
    use super::*;
    use uuid::Uuid;

    #[test]
    fn every_row_comes_back_and_damage_is_seen() {
        for flags in 0..16_u8 {
            comes_back(SettingsRow {
                channel_id: ChannelId(Uuid::from_u128(1)),
                from_id: MessageId(5),
                to_id: MessageId(6),
                version: 7,
                to_version: 8,
                kind: ChannelKind::ALL[usize::from(flags % 4)],
                admins_post: flags & 1 != 0,
                history_from_join: flags & 2 != 0,
                is_closed: flags & 4 != 0,
                is_deleted: flags & 8 != 0,
                stamp: WriteTimestamp(99),
            });
        }
    }
}
