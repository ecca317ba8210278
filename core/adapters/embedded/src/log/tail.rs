//! The end of a partition in memory, so that readers near it don't touch the store.

use std::collections::VecDeque;

use ringside_ports::log::{ReadLimit, Record};
use ringside_types::{Offset, UnixMillis};

/// Bytes that a record costs in memory besides its payload.
const RECORD_OVERHEAD_BYTES: usize = size_of::<Record>() + 32;

/// The newest records of a partition, dense, up to a bound in bytes.
#[derive(Debug)]
pub(crate) struct Tail {
    records: VecDeque<Record>,
    bytes: usize,
    bytes_max: usize,
}

impl Tail {
    pub(crate) fn new(bytes_max: usize) -> Self {
        Self { records: VecDeque::new(), bytes: 0, bytes_max }
    }

    /// Adds the record that follows the last one.
    pub(crate) fn push(&mut self, record: Record) {
        if let Some(last) = self.records.back() {
            assert_eq!(record.offset, last.offset.next(), "a tail is dense");
        }
        self.bytes += cost(&record);
        self.records.push_back(record);
        while self.bytes > self.bytes_max {
            let Some(oldest) = self.records.pop_front() else { break };
            self.bytes -= cost(&oldest);
        }
    }

    /// Drops what is below `start`: it is no longer there to be read.
    pub(crate) fn trim(&mut self, start: Offset) {
        while self.records.front().is_some_and(|record| record.offset < start) {
            let Some(oldest) = self.records.pop_front() else { break };
            self.bytes -= cost(&oldest);
        }
    }

    /// Drops what was appended before a time, but for so many bytes; returns the offset of the first record that is left.
    pub(crate) fn drop_before(&mut self, time: UnixMillis, bytes_kept: usize) -> Option<Offset> {
        while self.bytes > bytes_kept && self.records.front().is_some_and(|record| record.time < time) {
            let Some(oldest) = self.records.pop_front() else { break };
            self.bytes -= cost(&oldest);
        }
        self.records.front().map(|record| record.offset)
    }

    /// The first record that was not appended before a time.
    pub(crate) fn at_time(&self, time: UnixMillis) -> Option<Offset> {
        self.records.iter().find(|record| record.time >= time).map(|record| record.offset)
    }

    /// The records from `from` on; `None`: the tail doesn't reach back to it.
    pub(crate) fn read(&self, from: Offset, limit: ReadLimit) -> Option<Vec<Record>> {
        let oldest = self.records.front()?.offset;
        let skip = usize::try_from(from.0.checked_sub(oldest.0)?).ok()?;
        let mut bytes = 0;
        let mut read = Vec::new();
        for record in self.records.range(skip.min(self.records.len())..) {
            bytes += record.payload.len();
            if !read.is_empty() && (read.len() >= limit.records || bytes > limit.bytes) {
                break;
            }
            read.push(record.clone());
        }
        Some(read)
    }
}

fn cost(record: &Record) -> usize {
    record.payload.len() + RECORD_OVERHEAD_BYTES
}

#[cfg(test)]
mod tests {
    use super::*;
    use bytes::Bytes;

    const ALL: ReadLimit = ReadLimit { records: usize::MAX, bytes: usize::MAX };

    fn filled(count: u64, bytes_max: usize) -> Tail {
        let mut tail = Tail::new(bytes_max);
        for offset in 0..count {
            let payload = Bytes::from(vec![offset as u8; 10]);
            tail.push(Record { offset: Offset(offset), time: UnixMillis(offset), payload });
        }
        tail
    }

    fn offsets(read: Option<Vec<Record>>) -> Option<Vec<u64>> {
        read.map(|records| records.iter().map(|record| record.offset.0).collect())
    }

    #[test]
    fn keeps_the_newest_within_its_bytes() {
        let tail = filled(100, 5 * (10 + RECORD_OVERHEAD_BYTES));
        assert_eq!(offsets(tail.read(Offset(95), ALL)), Some(vec![95, 96, 97, 98, 99]));
        assert_eq!(offsets(tail.read(Offset(94), ALL)), None, "older ones are the store's");
        assert_eq!(offsets(tail.read(Offset(100), ALL)), Some(vec![]));
        assert!(tail.bytes <= tail.bytes_max);
    }

    #[test]
    fn a_record_above_the_bound_is_not_kept() {
        let tail = filled(3, 5);
        assert_eq!(offsets(tail.read(Offset(2), ALL)), None);
        assert_eq!(tail.bytes, 0);
    }

    #[test]
    fn limits_hold_but_one_record_always_comes() {
        let tail = filled(10, usize::MAX);
        assert_eq!(offsets(tail.read(Offset(3), ReadLimit { records: 2, ..ALL })), Some(vec![3, 4]));
        assert_eq!(offsets(tail.read(Offset(3), ReadLimit { bytes: 25, ..ALL })), Some(vec![3, 4]));
        assert_eq!(offsets(tail.read(Offset(3), ReadLimit { records: 0, bytes: 0 })), Some(vec![3]));
    }

    #[test]
    fn what_is_trimmed_is_not_read() {
        let mut tail = filled(10, usize::MAX);
        tail.trim(Offset(4));
        assert_eq!(offsets(tail.read(Offset(3), ALL)), None);
        assert_eq!(offsets(tail.read(Offset(8), ALL)), Some(vec![8, 9]));
        tail.trim(Offset(50));
        assert_eq!(offsets(tail.read(Offset(8), ALL)), None);
        assert_eq!(tail.bytes, 0);
    }
}
