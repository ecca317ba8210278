//! Where in a segment the records of a stream are: a mark for each stretch of the file.

use std::collections::BTreeMap;

use ringside_types::{Offset, UnixMillis};
use xxhash_rust::xxh3::xxh3_64;

use crate::frame::FrameRecord;
use crate::stream::Stream;

/// A stream has one mark in so many bytes at the most.
const STRETCH_BYTES: u64 = 512 * 1024;
const MAGIC: [u8; 8] = *b"RSIndx\x00\x01";
const MARK_BYTES: usize = 1 + 2 + 8 + 8 + 8;

/// A frame that holds records of a stream, and the first of them.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Mark {
    pub(crate) offset: Offset,
    pub(crate) time: UnixMillis,
    /// Where the frame begins.
    pub(crate) position: u64,
}

/// The marks of a segment's streams, each in the order of the file.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct Index(BTreeMap<Stream, Vec<Mark>>);

impl Index {
    /// Notes a record of the frame at `position`. Records come in their order.
    pub(crate) fn note(&mut self, stream: Stream, offset: Offset, time: UnixMillis, position: u64) {
        let marks = self.0.entry(stream).or_default();
        if marks.last().is_none_or(|last| position >= last.position + STRETCH_BYTES) {
            marks.push(Mark { offset, time, position });
        }
    }

    pub(crate) fn note_all(&mut self, records: &[FrameRecord], position: u64) {
        for record in records {
            self.note(record.stream, record.offset, record.time, position);
        }
    }

    /// The last mark at or before an offset; `None`: the segment has nothing of the stream up to it.
    pub(crate) fn at(&self, stream: Stream, offset: Offset) -> Option<Mark> {
        self.before(stream, |mark| mark.offset <= offset)
    }

    /// The last mark before a time, or the first one.
    pub(crate) fn before_time(&self, stream: Stream, time: UnixMillis) -> Option<Mark> {
        self.before(stream, |mark| mark.time < time).or_else(|| self.0.get(&stream)?.first().copied())
    }

    fn before(&self, stream: Stream, is_before: impl Fn(&Mark) -> bool) -> Option<Mark> {
        let marks = self.0.get(&stream)?;
        marks[..marks.partition_point(is_before)].last().copied()
    }

    /// With where the frames end, as it is kept beside a segment that is complete.
    pub(crate) fn encode(&self, written: u64) -> Vec<u8> {
        let mut rest = written.to_le_bytes().to_vec();
        for (stream, marks) in &self.0 {
            for mark in marks {
                rest.push(stream.topic as u8);
                rest.extend_from_slice(&stream.partition.0.to_le_bytes());
                for number in [mark.offset.0, mark.time.0, mark.position] {
                    rest.extend_from_slice(&number.to_le_bytes());
                }
            }
        }
        [&MAGIC[..], &xxh3_64(&rest).to_le_bytes(), &rest].concat()
    }

    /// `None`: damaged, or cut off.
    pub(crate) fn decode(bytes: &[u8]) -> Option<(Self, u64)> {
        let rest = bytes.get(16..)?;
        if bytes[..8] != MAGIC || bytes[8..16] != xxh3_64(rest).to_le_bytes() {
            return None;
        }
        let number =
            |bytes: &[u8], from: usize| Some(u64::from_le_bytes(bytes.get(from..from + 8)?.try_into().ok()?));
        let (mut index, written) = (Self::default(), number(rest, 0)?);
        for mark in rest[8..].chunks(MARK_BYTES) {
            let partition = ringside_types::PartitionId(u16::from_le_bytes(mark.get(1..3)?.try_into().ok()?));
            let stream = Stream { topic: crate::stream::topic(mark[0])?, partition };
            let (offset, time) = (Offset(number(mark, 3)?), UnixMillis(number(mark, 11)?));
            let mark = Mark { offset, time, position: number(mark, 19)? };
            index.0.entry(stream).or_default().push(mark);
        }
        Some((index, written))
    }
}

/// What follows the name of an index.
pub(crate) const SUFFIX: &str = ".index";

/// The name of the index beside a segment.
pub(crate) fn name(number: u64) -> String {
    format!("{number:020}{SUFFIX}")
}
