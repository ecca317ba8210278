//! How each row becomes the columns of its table, and back.
//!
//! A row is written whole: a column that were left out would keep what an earlier write put there. What is none is zero,
//! not null, which would be a tombstone.

mod channels;
mod messages;
mod registers;

use bytes::Bytes;
use ringside_domain::rows::WriteTimestamp;
use ringside_types::MessageId;
use scylla::value::CqlValue;
use uuid::Uuid;

use crate::statements::Statement;
pub(crate) use channels::ChangeOfRecord;
pub(crate) use messages::{BucketRow, Reply, ReplyRow};
pub(crate) use registers::{SlotOf, StatusRow};

/// Columns in the making.
#[derive(Debug, Default)]
pub(crate) struct Values {
    pub(crate) columns: Vec<CqlValue>,
    /// A number was above the 63 bits of a column.
    pub(crate) overflowed: bool,
}

impl Values {
    pub(crate) fn uuid(mut self, id: Uuid) -> Self {
        self.columns.push(CqlValue::Uuid(id));
        self
    }

    pub(crate) fn u64(mut self, number: u64) -> Self {
        let fitting = i64::try_from(number);
        self.overflowed |= fitting.is_err();
        self.columns.push(CqlValue::BigInt(fitting.unwrap_or(i64::MAX)));
        self
    }

    pub(crate) fn u16(mut self, number: u16) -> Self {
        self.columns.push(CqlValue::Int(number.into()));
        self
    }

    pub(crate) fn text(mut self, text: impl Into<String>) -> Self {
        self.columns.push(CqlValue::Text(text.into()));
        self
    }

    fn boolean(mut self, is_so: bool) -> Self {
        self.columns.push(CqlValue::Boolean(is_so));
        self
    }

    fn blob(mut self, bytes: &[u8]) -> Self {
        self.columns.push(CqlValue::Blob(bytes.to_vec()));
        self
    }

    /// The most rows that are wanted.
    pub(crate) fn limit(mut self, rows: usize) -> Self {
        self.columns.push(CqlValue::Int(i32::try_from(rows).unwrap_or(i32::MAX)));
        self
    }

    /// What stands after `IN`.
    pub(crate) fn any_of(mut self, values: Self) -> Self {
        self.overflowed |= values.overflowed;
        self.columns.push(CqlValue::List(values.columns));
        self
    }
}

/// Columns as they are read. `None` anywhere: it is not what was written.
pub(crate) struct Columns(std::vec::IntoIter<Option<CqlValue>>);

impl Columns {
    pub(crate) fn new(columns: Vec<Option<CqlValue>>) -> Self {
        Self(columns.into_iter())
    }

    fn next(&mut self) -> Option<CqlValue> {
        self.0.next().flatten()
    }

    pub(crate) fn uuid(&mut self) -> Option<Uuid> {
        self.next()?.as_uuid()
    }

    pub(crate) fn u64(&mut self) -> Option<u64> {
        self.next()?.as_bigint()?.try_into().ok()
    }

    pub(crate) fn u16(&mut self) -> Option<u16> {
        self.next()?.as_int()?.try_into().ok()
    }

    pub(crate) fn text(&mut self) -> Option<String> {
        match self.next()? {
            CqlValue::Text(text) => Some(text),
            CqlValue::Empty => Some(String::new()),
            _ => None,
        }
    }

    fn boolean(&mut self) -> Option<bool> {
        self.next()?.as_boolean()
    }

    fn blob(&mut self) -> Option<Bytes> {
        match self.next()? {
            CqlValue::Blob(bytes) => Some(bytes.into()),
            CqlValue::Empty => Some(Bytes::new()),
            _ => None,
        }
    }

    fn id(&mut self) -> Option<MessageId> {
        self.u64().map(MessageId)
    }

    /// The write timestamp of the row, which comes last.
    fn stamp(&mut self) -> Option<WriteTimestamp> {
        self.u64().map(WriteTimestamp)
    }
}

/// A row that is read.
pub(crate) trait Stored: Sized + Send {
    /// From the table's columns and the write timestamp; `None`: damaged.
    fn read(columns: &mut Columns) -> Option<Self>;
}

/// A row that is written.
pub(crate) trait Row {
    /// The statement that writes it.
    const PUT: Statement;

    /// The write timestamp: of registers, their value.
    fn rank(&self) -> u64;

    /// The columns that the statement names.
    fn columns(&self) -> Values;
}
