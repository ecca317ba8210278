//! Reads what is synced.

use std::collections::VecDeque;
use std::sync::{Arc, PoisonError, RwLock};

use bytes::Bytes;
use ringside_types::{Offset, UnixMillis};

use crate::cursor::{Cursor, Next};
use crate::disk::DiskFile;
use crate::error::{LogError, damaged};
use crate::frame;
use crate::index::Mark;
use crate::segment::Segment;
use crate::stream::Stream;

/// The segments that there are, oldest first; the last one is written to.
pub(crate) type Segments<F> = RwLock<VecDeque<Arc<Segment<F>>>>;

/// A record as it is read.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct StoredRecord {
    /// Its place in its stream.
    pub offset: Offset,
    /// The log's time of it.
    pub time: UnixMillis,
    /// What was appended.
    pub payload: Bytes,
}

/// Reads the log. A clone is another handle.
#[derive(Debug)]
pub struct Reader<F> {
    segments: Arc<Segments<F>>,
}

impl<F> Clone for Reader<F> {
    fn clone(&self) -> Self {
        Self { segments: Arc::clone(&self.segments) }
    }
}

impl<F: DiskFile> Reader<F> {
    pub(crate) fn new(segments: Arc<Segments<F>>) -> Self {
        Self { segments }
    }

    /// The same, of the segments that there are now: they can be read as long as this lives, whatever retention removes.
    #[must_use]
    pub fn held(&self) -> Self {
        let segments = self.segments.read().unwrap_or_else(PoisonError::into_inner).clone();
        Self { segments: Arc::new(RwLock::new(segments)) }
    }

    /// Where a stream begins: what is below is gone.
    pub fn start(&self, stream: Stream) -> Offset {
        let segments = self.segments.read().unwrap_or_else(PoisonError::into_inner);
        segments.front().map_or(Offset(0), |oldest| oldest.base(stream).next)
    }

    /// Records of `stream` from `from` on, below `until`: at most so many records and bytes of payload, but at least one.
    ///
    /// # Errors
    /// See [`LogError`]: `from` is below the start, a file can't be read, or it is damaged.
    pub fn read(
        &self,
        stream: Stream,
        from: Offset,
        until: Offset,
        (records_max, bytes_max): (usize, usize),
    ) -> Result<Vec<StoredRecord>, LogError> {
        let segments = self.segments_from(|segment| segment.base(stream).next <= from);
        let Some(oldest) = segments.first() else { return Ok(Vec::new()) };
        let start = oldest.base(stream).next;
        if from < start {
            return Err(LogError::BelowStart { stream, from: from.0, start: start.0 });
        }
        let (mut found, mut bytes, mut next) = (Vec::new(), 0, from);
        for segment in segments {
            let mark = segment.index.read().unwrap_or_else(PoisonError::into_inner).at(stream, next);
            let Some(mark) = mark else { continue };
            let goes_on = visit(&segment, mark, stream, |record| {
                if record.offset < next {
                    return Ok(true);
                }
                if record.offset != next {
                    return Err(hole(&segment, stream, next));
                }
                bytes += record.payload.len();
                let is_full = found.len() >= records_max || bytes > bytes_max;
                if next >= until || is_full && !found.is_empty() {
                    return Ok(false);
                }
                next = next.next();
                found.push(record);
                Ok(true)
            })?;
            if !goes_on || next >= until {
                return Ok(found);
            }
        }
        Ok(found)
    }

    /// The first record of `stream` whose time is not before `time`; `None`: there is none.
    ///
    /// # Errors
    /// See [`LogError`].
    pub fn at_time(&self, stream: Stream, time: UnixMillis) -> Result<Option<Offset>, LogError> {
        for segment in self.segments_from(|segment| segment.base(stream).time < time) {
            let index = segment.index.read().unwrap_or_else(PoisonError::into_inner);
            let mark = index.before_time(stream, time);
            drop(index);
            let (Some(mark), mut found) = (mark, None) else { continue };
            visit(&segment, mark, stream, |record| {
                found = (record.time >= time).then_some(record.offset);
                Ok(found.is_none())
            })?;
            if found.is_some() {
                return Ok(found);
            }
        }
        Ok(None)
    }

    /// The segments from the last one on of which `is_before` holds; all of them where it holds of none.
    fn segments_from(&self, is_before: impl Fn(&Segment<F>) -> bool) -> Vec<Arc<Segment<F>>> {
        let segments = self.segments.read().unwrap_or_else(PoisonError::into_inner);
        let first = segments.partition_point(|segment| is_before(segment)).saturating_sub(1);
        segments.range(first..).cloned().collect()
    }
}

/// Shows the records of a stream from a mark on, until `see` returns false. Says whether it was shown all.
fn visit<F: DiskFile>(
    segment: &Segment<F>,
    from: Mark,
    stream: Stream,
    mut see: impl FnMut(StoredRecord) -> Result<bool, LogError>,
) -> Result<bool, LogError> {
    let mut cursor = Cursor::new(&segment.file, segment.header.salt, from.position, segment.written());
    loop {
        let position = cursor.position();
        let body = match cursor.next()? {
            Next::Frame { body, .. } => body,
            Next::End => return Ok(true),
            Next::Invalid => return Err(broken(&segment.name(), position).into()),
        };
        let records = frame::records(&body).ok_or_else(|| broken(&segment.name(), position))?;
        for record in records.into_iter().filter(|record| record.stream == stream) {
            let frame::FrameRecord { offset, time, payload, .. } = record;
            if !see(StoredRecord { offset, time, payload })? {
                return Ok(false);
            }
        }
    }
}

pub(crate) fn broken(file: &str, position: u64) -> crate::DamagedLog {
    damaged(file, format!("the records at byte {position} are not what was written there"))
}

fn hole<F: DiskFile>(segment: &Segment<F>, stream: Stream, next: Offset) -> LogError {
    damaged(&segment.name(), format!("offset {next} of {stream} is missing")).into()
}
