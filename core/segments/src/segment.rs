//! A segment: a file of frames, with a header that says where each stream stood when it was begun.

use std::sync::RwLock;
use std::sync::atomic::{AtomicU64, Ordering};

use ringside_types::{Offset, PartitionId, UnixMillis};
use xxhash_rust::xxh3::xxh3_64;

use crate::disk::DiskFile;
use crate::frame::aligned;
use crate::index::Index;
use crate::stream::{End, Ends, Stream, topic};

/// The first bytes of a segment, with the format's number.
const MAGIC: [u8; 8] = *b"RSSegm\x00\x01";
/// Bytes of the header before the ends: magic, length, checksum, number, salt, time.
const FIXED_BYTES: usize = 8 + 4 + 8 + 8 + 8 + 8;
const END_BYTES: usize = 1 + 2 + 8 + 8;
/// More streams than this the log does not have: 7 topics of 1,024 partitions.
const ENDS_MAX: usize = 8 * 1_024;
/// What follows the name of a segment.
const SUFFIX: &str = ".segment";

/// A segment's header.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Header {
    /// Counted from 0.
    pub(crate) number: u64,
    /// The seed of its frames' checksums, drawn at random: nobody can write a payload that looks like a frame.
    pub(crate) salt: u64,
    /// When it was begun.
    pub(crate) begun: UnixMillis,
    /// Where the streams stood then.
    pub(crate) base: Ends,
}

impl Header {
    pub(crate) fn encode(&self) -> Vec<u8> {
        let mut rest = Vec::with_capacity(FIXED_BYTES + self.base.len() * END_BYTES);
        for number in [self.number, self.salt, self.begun.0] {
            rest.extend_from_slice(&number.to_le_bytes());
        }
        for (stream, end) in &self.base {
            rest.push(stream.topic as u8);
            rest.extend_from_slice(&stream.partition.0.to_le_bytes());
            rest.extend_from_slice(&end.next.0.to_le_bytes());
            rest.extend_from_slice(&end.time.0.to_le_bytes());
        }
        let mut bytes = MAGIC.to_vec();
        bytes.extend_from_slice(&(rest.len() as u32).to_le_bytes());
        bytes.extend_from_slice(&xxh3_64(&rest).to_le_bytes());
        bytes.extend_from_slice(&rest);
        bytes
    }

    /// Reads a header back, and how long it is; `None`: there is none, or it is damaged.
    pub(crate) fn read(file: &impl DiskFile) -> Option<(Self, u64)> {
        let mut fixed = [0; 20];
        file.read_at(&mut fixed, 0).ok()?;
        let length = u32::from_le_bytes(fixed[8..12].try_into().ok()?) as usize;
        if fixed[..8] != MAGIC || !(24..=24 + ENDS_MAX * END_BYTES).contains(&length) {
            return None;
        }
        let mut rest = vec![0; length];
        file.read_at(&mut rest, 20).ok()?;
        if fixed[12..] != xxh3_64(&rest).to_le_bytes() {
            return None;
        }
        Some((Self::decode(&rest)?, 20 + length as u64))
    }

    fn decode(rest: &[u8]) -> Option<Self> {
        let number = |from: usize| Some(u64::from_le_bytes(rest.get(from..from + 8)?.try_into().ok()?));
        let (mut base, ends) = (Ends::new(), rest.get(24..)?);
        for end in ends.chunks(END_BYTES) {
            let partition = PartitionId(u16::from_le_bytes(end.get(1..3)?.try_into().ok()?));
            let next = Offset(u64::from_le_bytes(end.get(3..11)?.try_into().ok()?));
            let time = UnixMillis(u64::from_le_bytes(end.get(11..19)?.try_into().ok()?));
            base.insert(Stream { topic: topic(end[0])?, partition }, End { next, time });
        }
        Some(Self { number: number(0)?, salt: number(8)?, begun: UnixMillis(number(16)?), base })
    }
}

/// An open segment. What is below `written` is synced and never changes.
#[derive(Debug)]
pub(crate) struct Segment<F> {
    pub(crate) header: Header,
    pub(crate) file: F,
    /// Where frames begin.
    pub(crate) frames: u64,
    pub(crate) index: RwLock<Index>,
    written: AtomicU64,
}

impl<F: DiskFile> Segment<F> {
    pub(crate) fn new(header: Header, file: F, header_bytes: u64, index: Index, written: u64) -> Self {
        let frames = aligned(header_bytes);
        Self { header, file, frames, index: RwLock::new(index), written: AtomicU64::new(written) }
    }

    pub(crate) fn written(&self) -> u64 {
        self.written.load(Ordering::Acquire)
    }

    pub(crate) fn set_written(&self, position: u64) {
        self.written.store(position, Ordering::Release);
    }

    pub(crate) fn name(&self) -> String {
        name(self.header.number)
    }

    /// Where a stream stood when the segment was begun.
    pub(crate) fn base(&self, stream: Stream) -> End {
        self.header.base.get(&stream).copied().unwrap_or_default()
    }
}

/// The name of a segment's file.
pub(crate) fn name(number: u64) -> String {
    format!("{number:020}{SUFFIX}")
}

/// The number in a file's name; `None`: it is no segment.
pub(crate) fn number(name: &str) -> Option<u64> {
    let digits = name.strip_suffix(SUFFIX)?;
    digits.parse().ok().filter(|number| self::name(*number) == name)
}
