//! The one that writes: it stages records, then writes and syncs them as one frame.

use std::sync::{Arc, PoisonError, RwLock};

use ringside_types::{Offset, UnixMillis};

use crate::disk::{Disk, DiskFile};
use crate::error::LogError;
use crate::frame::{BODY_BYTES_MAX, Frame, aligned};
use crate::index::Index;
use crate::prepare::{self, Preparer};
use crate::reader::{Reader, Segments};
use crate::recover::{Recovered, recover};
use crate::segment::{Header, Segment};
use crate::stream::{End, Ends, Stream};

/// How large and how old segments get.
#[derive(Clone, Copy, Debug)]
pub struct Config {
    /// Bytes of the first segment. Each that fills up is followed by one of twice its size,
    pub segment_bytes_min: u64,
    /// up to this.
    pub segment_bytes_max: u64,
    /// A segment older than this is followed by a new one at the next record, so that retention finds something to remove.
    pub segment_age_ms: u64,
}

impl Default for Config {
    fn default() -> Self {
        Self {
            segment_bytes_min: 1024 * 1024,
            segment_bytes_max: 256 * 1024 * 1024,
            segment_age_ms: 12 * 60 * 60 * 1_000,
        }
    }
}

/// Writes a log. There is one for a folder: who opens it sees to that.
pub struct Writer<D: Disk> {
    disk: D,
    config: Config,
    salt: u64,
    segments: Arc<Segments<D::File>>,
    active: Arc<Segment<D::File>>,
    /// Of the active segment's file.
    length: u64,
    /// Where the streams end, as far as it is synced.
    ends: Ends,
    /// Where those end that have staged records.
    staged: Ends,
    /// The frame in the making.
    frame: Frame,
    /// The first staged record of each stream.
    firsts: Vec<(Stream, Offset, UnixMillis)>,
    is_failed: bool,
    preparer: Preparer<D>,
}

impl<D: Disk> Writer<D> {
    /// Opens the log on a disk, or begins it there. For a new log: `salt` is a random number, and `base` says which streams
    /// begin elsewhere than at zero.
    ///
    /// # Errors
    /// See [`LogError`]: something is damaged, or the system refuses.
    pub fn open(
        disk: D,
        config: Config,
        salt: u64,
        now: UnixMillis,
        base: &[(Stream, End)],
    ) -> Result<Self, LogError> {
        let Recovered { mut segments, mut ends } = recover(&disk)?;
        if segments.is_empty() {
            ends.extend(base.iter().copied());
            let header = Header { number: 0, salt, begun: now, base: ends.clone() };
            let file = prepare::prepare(&disk, 0, config.segment_bytes_min).map_err(LogError::Refused)?;
            segments.push_back(Arc::new(begun(header, file)?));
        }
        let active = Arc::clone(&segments[segments.len() - 1]);
        let preparer = Preparer::start(&disk).map_err(LogError::Refused)?;
        let mut writer = Self {
            length: active.file.length().map_err(LogError::Refused)?,
            salt: active.header.salt,
            segments: Arc::new(RwLock::new(segments)),
            disk,
            config,
            active,
            ends,
            staged: Ends::new(),
            frame: Frame::default(),
            firsts: Vec::new(),
            is_failed: false,
            preparer,
        };
        writer.frame.clear();
        writer.prepare_next();
        Ok(writer)
    }

    /// Reads what this has synced.
    pub fn reader(&self) -> Reader<D::File> {
        Reader::new(Arc::clone(&self.segments))
    }

    /// The streams that have records, and where they end.
    pub fn ends(&self) -> impl Iterator<Item = (Stream, End)> {
        self.ends.iter().map(|(stream, end)| (*stream, *end))
    }

    /// Where a stream ends, as far as it is synced.
    pub fn end(&self, stream: Stream) -> End {
        self.ends.get(&stream).copied().unwrap_or_default()
    }

    /// Adds a record to the frame in the making; says where it will stand. The log's time never steps back.
    pub fn stage(&mut self, stream: Stream, now: UnixMillis, payload: &[u8]) -> (Offset, UnixMillis) {
        let known = self.staged.get(&stream).copied();
        let end = known.unwrap_or_else(|| self.end(stream));
        let (offset, time) = (end.next, end.time.max(now));
        self.frame.push(stream, offset, time, payload);
        if known.is_none() {
            self.firsts.push((stream, offset, time));
        }
        self.staged.insert(stream, End { next: offset.next(), time });
        (offset, time)
    }

    /// Bytes of the frame in the making.
    pub fn staged_bytes(&self) -> usize {
        self.frame.length()
    }

    /// Forgets what is staged.
    pub fn discard(&mut self) {
        self.frame.clear();
        self.staged.clear();
        self.firsts.clear();
    }

    /// Writes what is staged as one frame, and syncs it: when this returns, it is durable and can be read. After an error
    /// nothing is staged any more.
    ///
    /// # Errors
    /// [`LogError::Refused`]: there is no room; nothing was written. [`LogError::Failed`]: it may be on the disk, or not;
    /// nothing is written from now on.
    pub fn sync(&mut self, now: UnixMillis) -> Result<(), LogError> {
        if self.firsts.is_empty() {
            return Ok(());
        }
        let written = self.write(now);
        if written.is_ok() {
            self.ends.append(&mut self.staged);
        }
        self.is_failed |= matches!(written, Err(LogError::Failed(_)));
        self.discard();
        written
    }

    fn write(&mut self, now: UnixMillis) -> Result<(), LogError> {
        if self.is_failed {
            let cause = "an earlier write of the log has failed";
            return Err(LogError::Failed(std::io::Error::other(cause)));
        }
        if self.frame.length() > BODY_BYTES_MAX {
            let cause = format!("a group of {} bytes: {BODY_BYTES_MAX} at most", self.frame.length());
            return Err(LogError::Refused(std::io::Error::other(cause)));
        }
        let frame_bytes = aligned(self.frame.length() as u64);
        if self.active.written() + frame_bytes > self.length || self.is_old(now) {
            self.roll(now, frame_bytes)?;
        }
        let position = self.active.written();
        let blocks = self.frame.finish(self.salt, position);
        self.active.file.write_blocks(blocks, position).map_err(LogError::Failed)?;
        let mut index = self.active.index.write().unwrap_or_else(PoisonError::into_inner);
        for (stream, offset, time) in &self.firsts {
            index.note(*stream, *offset, *time, position);
        }
        drop(index);
        self.active.set_written(position + frame_bytes);
        Ok(())
    }

    /// Whether the active segment holds records and is older than it may get.
    fn is_old(&self, now: UnixMillis) -> bool {
        self.active.written() > self.active.frames
            && now.since(self.active.header.begun) >= self.config.segment_age_ms
    }

    /// Goes on in the next segment, which has room for a frame of so many bytes.
    fn roll(&mut self, now: UnixMillis, frame_bytes: u64) -> Result<(), LogError> {
        let header = Header {
            number: self.active.header.number + 1,
            salt: self.salt,
            begun: now,
            base: self.ends.clone(),
        };
        let needed = aligned(header.encode().len() as u64) + frame_bytes;
        let file = self.preparer.take(header.number, needed).map_err(LogError::Refused)?;
        let active = Arc::new(begun(header, file)?);
        self.length = active.file.length().map_err(LogError::Refused)?;
        let sealed = std::mem::replace(&mut self.active, Arc::clone(&active));
        self.segments.write().unwrap_or_else(PoisonError::into_inner).push_back(active);
        sealed.file.close_for_writing();
        self.preparer.keep_index(sealed);
        self.prepare_next();
        Ok(())
    }

    fn prepare_next(&mut self) {
        self.preparer.ask(self.active.header.number + 1, self.next_bytes());
    }

    /// How large the segment after the active one is to be.
    fn next_bytes(&self) -> u64 {
        (self.length * 2).clamp(self.config.segment_bytes_min, self.config.segment_bytes_max)
    }

    /// Removes the oldest segments, as far as `may_go` says so of each of their streams: it is given where the stream ends
    /// in the segment. Where all of the one that is written to may go, another is begun first. Returns how many went.
    ///
    /// # Errors
    /// The system refuses; what is gone is gone.
    pub fn trim(&mut self, now: UnixMillis, may_go: impl Fn(Stream, End) -> bool) -> Result<usize, LogError> {
        let is_held = |(stream, end): &(&Stream, &End)| end.next > self.active.base(**stream).next;
        let held: Vec<_> = self.ends.iter().filter(is_held).collect();
        let may_all_go = held.iter().all(|(stream, end)| may_go(**stream, **end));
        if !held.is_empty() && may_all_go && !self.is_failed {
            self.roll(now, 0)?;
        }
        let mut removed = 0;
        loop {
            let segments = self.segments.read().unwrap_or_else(PoisonError::into_inner);
            let (oldest, next) = (segments.front().cloned(), segments.get(1));
            let (Some(oldest), Some(next)) = (oldest, next) else { return Ok(removed) };
            let mut held =
                next.header.base.iter().filter(|(stream, end)| end.next > oldest.base(**stream).next);
            if !held.all(|(stream, end)| may_go(*stream, *end)) {
                return Ok(removed);
            }
            drop(segments);
            // Only what is gone is forgotten: the next time tries again.
            self.remove(&oldest).map_err(LogError::Refused)?;
            self.segments.write().unwrap_or_else(PoisonError::into_inner).pop_front();
            removed += 1;
        }
    }

    /// One after the other, each durably: of a later segment that is gone and an earlier one that is not, nobody could say
    /// whether it was meant.
    fn remove(&self, segment: &Segment<D::File>) -> std::io::Result<()> {
        for name in [crate::index::name(segment.header.number), segment.name()] {
            match self.disk.remove(&name) {
                Err(error) if error.kind() != std::io::ErrorKind::NotFound => return Err(error),
                _ => {}
            }
        }
        self.disk.sync_names()
    }
}

/// Writes the header of a segment, and syncs it.
fn begun<F: DiskFile>(header: Header, file: F) -> Result<Segment<F>, LogError> {
    let bytes = header.encode();
    file.write_at(&bytes, 0).map_err(LogError::Failed)?;
    file.sync().map_err(LogError::Failed)?;
    let (length, frames) = (bytes.len() as u64, aligned(bytes.len() as u64));
    Ok(Segment::new(header, file, length, Index::default(), frames))
}
