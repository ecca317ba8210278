//! Opening a log: what a crash cut off is dropped, and what is damaged is refused.
//!
//! A group is written after the one before it was synced. So a frame that is not whole was in flight when the machine
//! stopped, unless a whole one follows: then it was synced, and something has damaged it since.

use std::collections::VecDeque;
use std::sync::Arc;

use ringside_types::UnixMillis;

use crate::cursor::{Cursor, Next};
use crate::disk::{Disk, DiskFile};
use crate::error::{DamagedLog, LogError, damaged};
use crate::frame::{self, aligned};
use crate::index::{self, Index};
use crate::reader::broken;
use crate::segment::{self, Header, Segment};
use crate::stream::{End, Ends};

/// What was found; no segments: the folder is new.
pub(crate) struct Recovered<F> {
    pub(crate) segments: VecDeque<Arc<Segment<F>>>,
    pub(crate) ends: Ends,
}

pub(crate) fn recover<D: Disk>(disk: &D) -> Result<Recovered<D::File>, LogError> {
    let names = disk.list().map_err(LogError::Refused)?;
    let mut numbers: Vec<u64> = names.iter().filter_map(|name| segment::number(name)).collect();
    numbers.sort_unstable();
    if let Some(pair) = numbers.windows(2).find(|pair| pair[1] != pair[0] + 1) {
        return Err(damaged(&segment::name(pair[0] + 1), "it is missing").into());
    }
    let mut found = Vec::with_capacity(numbers.len());
    for number in numbers.iter().copied() {
        let file = disk.open(&segment::name(number)).map_err(LogError::Refused)?;
        let header = Header::read(&file).filter(|(header, _)| header.number == number);
        found.push((number, file, header));
    }
    let Some(active) = found.iter().rposition(|(.., header)| header.is_some()) else {
        return match found.first() {
            None => Ok(Recovered { segments: VecDeque::new(), ends: Ends::new() }),
            Some((number, ..)) => Err(headless(*number)),
        };
    };
    let unused = found.split_off(active + 1);
    let mut opened: VecDeque<Opened<D::File>> = VecDeque::new();
    for (number, file, header) in found {
        let (header, bytes) = header.ok_or_else(|| headless(number))?;
        opened.push_back(Opened { header, frames: aligned(bytes), file });
    }
    let Some(active) = opened.pop_back() else { return Err(headless(0)) };
    let bases: Vec<Ends> = opened
        .iter()
        .skip(1)
        .map(|next| &next.header)
        .chain([&active.header])
        .map(|next| next.base.clone())
        .collect();
    let mut segments = VecDeque::new();
    for (sealed, next) in opened.into_iter().zip(bases) {
        segments.push_back(Arc::new(sealed.into_sealed(disk, &next)?));
    }
    remove_stale_indexes(disk, &names, &numbers, active.header.number)?;
    let (active, ends) = active.into_active()?;
    segments.push_back(Arc::new(active));
    for (number, file, _) in unused {
        remove_unused(disk, number, &file, &ends)?;
    }
    Ok(Recovered { segments, ends })
}

/// The index of the segment that is written to, and of those that are gone, tell nothing any more.
fn remove_stale_indexes<D: Disk>(
    disk: &D,
    names: &[String],
    segments: &[u64],
    active: u64,
) -> Result<(), LogError> {
    let is_current = |number: &u64| *number < active && segments.contains(number);
    for name in names.iter().filter(|name| name.ends_with(index::SUFFIX)) {
        let number = name.strip_suffix(index::SUFFIX).and_then(|digits| digits.parse().ok());
        if !number.as_ref().is_some_and(is_current) {
            disk.remove(name).map_err(LogError::Refused)?;
        }
    }
    Ok(())
}

fn headless(number: u64) -> LogError {
    damaged(&segment::name(number), "its header is not what was written").into()
}

/// A segment that was prepared and not begun. It is made anew.
fn remove_unused<D: Disk>(disk: &D, number: u64, file: &D::File, ends: &Ends) -> Result<(), LogError> {
    // Its header is synced before its first frame is written, which is where this one would have ended.
    let header = Header { number, salt: 0, begun: UnixMillis(0), base: ends.clone() };
    let (mut first, at) = ([0; frame::HEADER_BYTES], aligned(header.encode().len() as u64));
    let is_begun = file.length().map_err(LogError::Refused)? >= at + first.len() as u64
        && file.read_at(&mut first, at).is_ok()
        && first != [0; frame::HEADER_BYTES];
    if is_begun {
        return Err(headless(number));
    }
    disk.remove(&segment::name(number)).map_err(LogError::Refused)
}

/// A segment of which the header has been read.
struct Opened<F> {
    header: Header,
    frames: u64,
    file: F,
}

impl<F: DiskFile> Opened<F> {
    /// One that is complete: the next begins where it ends.
    fn into_sealed<D: Disk<File = F>>(self, disk: &D, next: &Ends) -> Result<Segment<F>, LogError> {
        let length = self.file.length().map_err(LogError::Refused)?;
        if let Some((index, written)) = kept_index(disk, self.header.number).filter(|kept| kept.1 <= length) {
            return Ok(Segment::new(self.header, self.file, self.frames, index, written));
        }
        let scanned = self.scan(length)?;
        if scanned.ends != *next {
            return Err(broken(&segment::name(self.header.number), scanned.written).into());
        }
        Ok(Segment::new(self.header, self.file, self.frames, scanned.index, scanned.written))
    }

    /// The one that is written to.
    fn into_active(self) -> Result<(Segment<F>, Ends), LogError> {
        // What is read here may be in the system's memory only.
        self.file.sync().map_err(LogError::Failed)?;
        let scanned = self.scan(self.file.length().map_err(LogError::Refused)?)?;
        Ok((Segment::new(self.header, self.file, self.frames, scanned.index, scanned.written), scanned.ends))
    }

    /// Reads all frames, and refuses damage before the last one.
    fn scan(&self, length: u64) -> Result<Scanned, LogError> {
        let name = segment::name(self.header.number);
        let (mut index, mut ends) = (Index::default(), self.header.base.clone());
        let mut cursor = Cursor::new(&self.file, self.header.salt, self.frames, length);
        loop {
            let at = cursor.position();
            match cursor.next()? {
                Next::End => return Ok(Scanned { index, ends, written: at.min(length) }),
                Next::Invalid => {
                    if cursor.finds_a_later_frame()?.is_some() {
                        return Err(broken(&name, at).into());
                    }
                    return Ok(Scanned { index, ends, written: at });
                }
                Next::Frame { position, body } => {
                    let records = frame::records(&body).ok_or_else(|| broken(&name, position))?;
                    follow(&mut ends, &records).map_err(|what| damaged_at(&name, position, &what))?;
                    index.note_all(&records, position);
                }
            }
        }
    }
}

struct Scanned {
    index: Index,
    ends: Ends,
    /// Where the frames end.
    written: u64,
}

/// Each record follows the one before it in its stream.
fn follow(ends: &mut Ends, records: &[frame::FrameRecord]) -> Result<(), String> {
    for record in records {
        let end = ends.entry(record.stream).or_default();
        if record.offset != end.next || record.time < end.time {
            return Err(format!("offset {} of {} follows {}", record.offset, record.stream, end.next));
        }
        *end = End { next: record.offset.next(), time: record.time };
    }
    Ok(())
}

fn damaged_at(name: &str, position: u64, what: &str) -> DamagedLog {
    damaged(name, format!("at byte {position} {what}"))
}

/// The index beside a segment; `None`: there is none that can be used.
fn kept_index<D: Disk>(disk: &D, number: u64) -> Option<(Index, u64)> {
    let file = disk.open(&index::name(number)).ok()?;
    let mut bytes = vec![0; usize::try_from(file.length().ok()?).ok()?];
    file.read_at(&mut bytes, 0).ok()?;
    Index::decode(&bytes)
}
