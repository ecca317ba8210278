//! Frames: what one group of appends wrote. All of a frame counts, or nothing of it.
//!
//! All numbers are little-endian. A frame begins with a block of the disk, so that no write ever touches a block of an
//! earlier frame:
//!
//! | bytes | |
//! |---|---|
//! | 4 | [`MAGIC`] |
//! | 4 | the body's length |
//! | 8 | XXH3 of position, length and body, seeded with the segment's salt |
//! | … | records: topic (1), partition (2), offset (8), time in ms (8), length (4), payload |
//!
//! The position and the salt are in the checksum, so that bytes of a payload, or of a frame that a crash cut off, are never
//! taken for a frame.

use bytes::Bytes;
use ringside_types::{Offset, PartitionId, UnixMillis};
use xxhash_rust::xxh3::Xxh3;

use crate::disk::BLOCK_BYTES;
use crate::stream::{Stream, topic};

/// The first bytes of a frame.
pub const MAGIC: [u8; 4] = *b"RSFr";
/// Frames begin at multiples of this.
pub const ALIGNMENT: u64 = BLOCK_BYTES as u64;
/// Bytes before the body.
pub const HEADER_BYTES: usize = 16;
/// Bytes of a record besides its payload.
pub const RECORD_HEADER_BYTES: usize = 23;
/// Bytes of a body at the most: nothing longer is read.
pub const BODY_BYTES_MAX: usize = 256 * 1024 * 1024;

/// A record as it stands in a frame.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct FrameRecord {
    /// Whose record it is.
    pub stream: Stream,
    /// Its place there.
    pub offset: Offset,
    /// The log's time of it.
    pub time: UnixMillis,
    /// What was appended.
    pub payload: Bytes,
}

/// The next multiple of [`ALIGNMENT`].
pub const fn aligned(position: u64) -> u64 {
    position.next_multiple_of(ALIGNMENT)
}

/// A frame in the making, which begins in memory where a block may.
#[derive(Debug, Default)]
pub struct Frame {
    buffer: Vec<u8>,
    /// Where in the buffer it begins.
    begin: usize,
}

impl Frame {
    /// Forgets the records that it has.
    pub fn clear(&mut self) {
        self.buffer.clear();
        self.buffer.reserve(2 * BLOCK_BYTES);
        self.begin = self.buffer.as_ptr().align_offset(BLOCK_BYTES).min(BLOCK_BYTES);
        self.buffer.resize(self.begin + HEADER_BYTES, 0);
    }

    /// Bytes of header and records.
    pub fn length(&self) -> usize {
        self.buffer.len() - self.begin
    }

    /// Adds a record.
    pub fn push(&mut self, stream: Stream, offset: Offset, time: UnixMillis, payload: &[u8]) {
        let buffer = &mut self.buffer;
        buffer.push(stream.topic as u8);
        buffer.extend_from_slice(&stream.partition.0.to_le_bytes());
        buffer.extend_from_slice(&offset.0.to_le_bytes());
        buffer.extend_from_slice(&time.0.to_le_bytes());
        buffer.extend_from_slice(&(payload.len() as u32).to_le_bytes());
        buffer.extend_from_slice(payload);
    }

    /// The frame as it is to be written at `position`: whole blocks.
    pub fn finish(&mut self, salt: u64, position: u64) -> &[u8] {
        let length = (self.length() - HEADER_BYTES) as u32;
        self.align();
        let body = self.begin + HEADER_BYTES;
        let sum = checksum(salt, position, &self.buffer[body..]);
        let header = &mut self.buffer[self.begin..body];
        header[..4].copy_from_slice(&MAGIC);
        header[4..8].copy_from_slice(&length.to_le_bytes());
        header[8..].copy_from_slice(&sum.to_le_bytes());
        let blocks = self.length().next_multiple_of(BLOCK_BYTES);
        self.buffer.resize(self.begin + blocks, 0);
        &self.buffer[self.begin..]
    }

    /// The buffer may have moved as it grew.
    fn align(&mut self) {
        let length = self.length();
        self.buffer.reserve(2 * BLOCK_BYTES);
        let begin = self.buffer.as_ptr().align_offset(BLOCK_BYTES).min(BLOCK_BYTES);
        if begin > self.begin {
            self.buffer.resize(begin + length, 0);
        }
        self.buffer.copy_within(self.begin..self.begin + length, begin);
        self.buffer.truncate(begin + length);
        self.begin = begin;
    }
}

/// The length of the body that a header announces; `None`: it is none.
pub fn body_length(header: &[u8; HEADER_BYTES]) -> Option<usize> {
    let length = u32::from_le_bytes([header[4], header[5], header[6], header[7]]) as usize;
    (header[..4] == MAGIC && length > 0 && length <= BODY_BYTES_MAX).then_some(length)
}

/// Whether a body is the one of this header, at this position.
pub fn is_whole(header: &[u8; HEADER_BYTES], body: &[u8], salt: u64, position: u64) -> bool {
    header[8..] == checksum(salt, position, body).to_le_bytes()
}

/// The records of a body that [`is_whole`]; `None`: it is not what [`Frame::push`] writes.
pub fn records(body: &Bytes) -> Option<Vec<FrameRecord>> {
    let (mut records, mut at) = (Vec::new(), 0);
    while at < body.len() {
        let header = body.get(at..at + RECORD_HEADER_BYTES)?;
        let number = |from: usize| Some(u64::from_le_bytes(header[from..from + 8].try_into().ok()?));
        let partition = PartitionId(u16::from_le_bytes([header[1], header[2]]));
        let stream = Stream { topic: topic(header[0])?, partition };
        let (offset, time) = (Offset(number(3)?), UnixMillis(number(11)?));
        let length = u32::from_le_bytes(header[19..].try_into().ok()?) as usize;
        at += RECORD_HEADER_BYTES;
        body.get(at..at + length)?;
        records.push(FrameRecord { stream, offset, time, payload: body.slice(at..at + length) });
        at += length;
    }
    Some(records)
}

fn checksum(salt: u64, position: u64, body: &[u8]) -> u64 {
    let mut hash = Xxh3::with_seed(salt);
    hash.update(&position.to_le_bytes());
    hash.update(&(body.len() as u64).to_le_bytes());
    hash.update(body);
    hash.digest()
}
