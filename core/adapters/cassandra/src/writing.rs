//! What is written, gathered by partition: each row once, the later stamp winning.

use std::collections::HashMap;
use std::collections::hash_map::Entry;
use std::time::{SystemTime, UNIX_EPOCH};

use ringside_domain::rows::{HeadRow, Progress, Rows};
use ringside_ports::EngineError;
use ringside_types::{ChannelId, Epoch, PartitionId, Slot};
use scylla::value::CqlValue;

use crate::buckets::Month;
use crate::error::damaged;
use crate::requests::{Write, bytes_of};
use crate::rows::{BucketRow, ChangeOfRecord, ReplyRow, Row, SlotOf, Values};
use crate::statements::Statement;

/// Rows of one batch at the most, however small they are.
const BATCH_ROWS_MAX: usize = 64;

/// A row to write.
struct Staged {
    write: Write,
    rank: u64,
    /// The partition's key, in bytes.
    partition: Vec<u8>,
}

/// Writes in the making. A row that is staged twice is written once: the engine compares two writes of one timestamp column
/// by column, so that a mixture of both might come of it.
#[derive(Default)]
pub(crate) struct Staging {
    staged: Vec<Staged>,
    /// Where a row is in `staged`, by statement and key.
    places: HashMap<(&'static str, u8, Vec<u8>), usize>,
}

impl Staging {
    /// Everything of a commit's first step.
    pub(crate) fn rows(&mut self, partition: PartitionId, rows: &Rows) -> Result<(), EngineError> {
        for row in &rows.messages {
            self.put(row)?;
            if let Some(reply) = ReplyRow::of(row) {
                self.put(&reply)?;
            }
        }
        for row in &rows.changes {
            let (channel_id, record_id) = (row.channel_id, row.record_id);
            self.put(row)?;
            self.put(&ChangeOfRecord { channel_id, record_id, change: row.change, stamp: row.stamp })?;
        }
        self.all(&rows.reactions)?;
        self.all(&rows.pins)?;
        self.all(&rows.memberships)?;
        self.all(&rows.settings)?;
        self.all(&rows.keys)?;
        self.all(&rows.interest)?;
        for row in &rows.slots {
            self.put(&SlotOf { partition, row: *row })?;
        }
        self.all(&rows.reads)?;
        self.all(&rows.delivered)?;
        rows.void_interest.iter().try_for_each(|void| self.drop_interest(*void))
    }

    /// The heads of a commit's second step.
    pub(crate) fn heads(&mut self, heads: &[HeadRow]) -> Result<(), EngineError> {
        self.all(heads)
    }

    /// The progress of a commit's last step.
    pub(crate) fn progress(&mut self, progress: &Progress) -> Result<(), EngineError> {
        self.put(progress)
    }

    /// Months in which channels have something.
    pub(crate) fn buckets<'a>(
        &mut self,
        buckets: impl Iterator<Item = &'a (ChannelId, Month)>,
    ) -> Result<(), EngineError> {
        buckets
            .map(|(channel_id, month)| BucketRow { channel_id: *channel_id, month: *month })
            .try_for_each(|row| self.put(&row))
    }

    fn all<R: Row>(&mut self, rows: &[R]) -> Result<(), EngineError> {
        rows.iter().try_for_each(|row| self.put(row))
    }

    /// Stages a row, unless a later write of it is staged. Of two with one stamp the second stays.
    fn put<R: Row>(&mut self, row: &R) -> Result<(), EngineError> {
        let rank = row.rank();
        let mut values = checked(R::PUT, row.columns().u64(rank))?;
        let partition = key_bytes(&values[..R::PUT.table().partition_columns()]);
        let key = key_bytes(&values[..R::PUT.table().key_columns()]);
        values.shrink_to_fit();
        let staged = Staged { write: Write { statement: R::PUT, values }, rank, partition };
        // The two registers of `message_status` share a table and its keys.
        match self.places.entry((R::PUT.table().name, R::PUT as u8, key)) {
            Entry::Vacant(place) => {
                place.insert(self.staged.len());
                self.staged.push(staged);
            }
            Entry::Occupied(place) => {
                let known = &mut self.staged[*place.get()];
                if known.rank <= rank {
                    *known = staged;
                }
            }
        }
        Ok(())
    }

    /// Stages the deletion of interest whose epoch is over, unless the same row is written here.
    ///
    /// Its timestamp is now: nobody says what the row's was. Where the log's clock is ahead of this one's, the row stays, and
    /// is found void again; nothing else can have that key, for an epoch that is over doesn't come back.
    fn drop_interest(&mut self, (channel, slot, epoch): (ChannelId, Slot, Epoch)) -> Result<(), EngineError> {
        let key = Values::default().uuid(channel.0).u16(slot.0).u64(epoch.0);
        let key_columns = checked(Statement::DropInterest, key)?;
        let table = Statement::DropInterest.table();
        let place = (table.name, Statement::PutInterest as u8, key_bytes(&key_columns));
        if self.places.contains_key(&place) {
            return Ok(());
        }
        let partition = key_bytes(&key_columns[..table.partition_columns()]);
        let mut values = vec![CqlValue::BigInt(now_us())];
        values.extend(key_columns);
        let write = Write { statement: Statement::DropInterest, values };
        self.staged.push(Staged { write, rank: 0, partition });
        Ok(())
    }

    /// What is staged, in groups of one partition each, none above `bytes_max` but for a row that is larger by itself.
    pub(crate) fn groups(self, bytes_max: usize) -> Vec<Vec<Write>> {
        let mut groups: Vec<Vec<Write>> = Vec::new();
        // The last group of each partition, and its bytes.
        let mut last: HashMap<Vec<u8>, (usize, usize)> = HashMap::new();
        for Staged { write, partition, .. } in self.staged {
            let bytes = bytes_of(&write.values);
            match last.get_mut(&partition) {
                Some((group, size))
                    if *size + bytes <= bytes_max && groups[*group].len() < BATCH_ROWS_MAX =>
                {
                    *size += bytes;
                    groups[*group].push(write);
                }
                _ => {
                    last.insert(partition, (groups.len(), bytes));
                    groups.push(vec![write]);
                }
            }
        }
        groups
    }
}

fn checked(statement: Statement, values: Values) -> Result<Vec<CqlValue>, EngineError> {
    if values.overflowed {
        let cause = format!("a row of table `{}` holds a number above 63 bits", statement.table().name);
        return Err(damaged(cause));
    }
    Ok(values.columns)
}

/// A key as bytes that no other key has: each column with its length.
fn key_bytes(columns: &[CqlValue]) -> Vec<u8> {
    let mut bytes = Vec::with_capacity(columns.len() * 20);
    for column in columns {
        let (fixed, text);
        let part: &[u8] = match column {
            CqlValue::Uuid(id) => id.as_bytes(),
            CqlValue::BigInt(number) => {
                fixed = number.to_be_bytes();
                &fixed
            }
            CqlValue::Int(number) => {
                text = number.to_be_bytes();
                &text
            }
            CqlValue::Text(text) => text.as_bytes(),
            // No key has a column of another type.
            _ => &[],
        };
        bytes.extend_from_slice(&u32::try_from(part.len()).unwrap_or(u32::MAX).to_be_bytes());
        bytes.extend_from_slice(part);
    }
    bytes
}

/// Microseconds since 1970, as write timestamps are.
fn now_us() -> i64 {
    let now = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
    i64::try_from(now.as_micros()).unwrap_or(i64::MAX)
}

#[cfg(test)]
mod tests {
    use ringside_domain::rows::{DeliveredRow, ReadRow, WriteTimestamp};
    use ringside_types::{MessageId, UserId};
    use uuid::Uuid;

    use super::*;

    const LARGE: usize = 1 << 20;

    fn head(channel: u128, last_seq: u64, stamp: u64) -> HeadRow {
        let empty = HeadRow::empty(ChannelId(Uuid::from_u128(channel)));
        HeadRow { last_seq, stamp: WriteTimestamp(stamp), ..empty }
    }

    fn groups(heads: &[HeadRow], bytes_max: usize) -> Vec<Vec<Write>> {
        let mut staging = Staging::default();
        staging.heads(heads).expect("fits");
        staging.groups(bytes_max)
    }

    #[test]
    fn a_row_is_written_once_and_of_one_stamp_the_last() {
        let check = |heads: &[HeadRow], expected: &HeadRow| {
            let groups = groups(heads, LARGE);
            assert_eq!(groups.len(), 1, "{heads:?}");
            let expected = expected.columns().u64(expected.stamp.0).columns;
            assert_eq!(groups[0].iter().map(|write| &write.values).collect::<Vec<_>>(), [&expected]);
        };
        let (early, late, other) = (head(1, 9, 5), head(1, 4, 6), head(1, 2, 6));
        check(&[early, late], &late);
        check(&[late, early], &late);
        check(&[late, other], &other);
        check(&[other, early, late], &late);
    }

    #[test]
    fn registers_of_one_row_are_two_writes_in_one_group() {
        let (user_id, channel_id) = (UserId(Uuid::from_u128(1)), ChannelId(Uuid::from_u128(2)));
        let read = ReadRow { user_id, channel_id, last_read_id: MessageId(5), last_read_seq: 1 };
        let delivered =
            DeliveredRow { user_id, channel_id, last_delivered_id: MessageId(7), last_delivered_seq: 2 };
        let rows = Rows { reads: vec![read], delivered: vec![delivered], ..Rows::default() };
        let mut staging = Staging::default();
        staging.rows(PartitionId(1), &rows).expect("fits");
        let groups = staging.groups(LARGE);
        let statements: Vec<Vec<_>> =
            groups.iter().map(|group| group.iter().map(|write| write.statement).collect()).collect();
        assert_eq!(statements, [[Statement::PutRead, Statement::PutDelivered]]);
    }

    #[test]
    fn groups_are_of_one_partition_and_bounded() {
        let mixed = [head(1, 1, 1), head(2, 1, 2), head(3, 1, 3)];
        assert_eq!(groups(&mixed, LARGE).len(), 3, "each channel's head is a partition");
        let slots = |count| {
            let slot = |slot| ringside_domain::rows::SlotRow {
                slot: Slot(slot),
                epoch: Epoch(1),
                stamp: WriteTimestamp(u64::from(slot)),
            };
            let mut staging = Staging::default();
            let rows = Rows { slots: (0..count).map(slot).collect(), ..Rows::default() };
            staging.rows(PartitionId(1), &rows).expect("fits");
            staging
        };
        let bytes = |group: &Vec<Write>| group.iter().map(|write| bytes_of(&write.values)).sum::<usize>();
        // Two numbers of 4 bytes, the epoch, and the timestamp.
        assert_eq!(bytes(&slots(1).groups(LARGE)[0]), 24);
        let sizes =
            |count, bytes_max| slots(count).groups(bytes_max).iter().map(Vec::len).collect::<Vec<_>>();
        assert_eq!(sizes(5, 48), [2, 2, 1]);
        assert_eq!(sizes(3, 1), [1, 1, 1], "a row above the bound goes alone");
        assert_eq!(sizes(200, LARGE), [64, 64, 64, 8]);
    }

    #[test]
    fn keys_differ_where_their_columns_do() {
        let text = |text: &str| CqlValue::Text(text.into());
        assert_ne!(key_bytes(&[text("ab"), text("c")]), key_bytes(&[text("a"), text("bc")]));
        assert_ne!(key_bytes(&[CqlValue::Int(1)]), key_bytes(&[CqlValue::BigInt(1)]));
        assert_ne!(key_bytes(&[text("a")]), key_bytes(&[text("a"), text("")]));
    }
}
