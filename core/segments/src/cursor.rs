//! Goes through a segment's frames, some hundred kilobytes at a time.

use bytes::Bytes;

use crate::disk::DiskFile;
use crate::error::LogError;
use crate::frame::{self, HEADER_BYTES, aligned};

/// Bytes read at once, but for a longer frame.
const CHUNK_BYTES: u64 = 256 * 1024;

/// What comes next in a file.
pub(crate) enum Next {
    Frame {
        position: u64,
        body: Bytes,
    },
    /// No frame begins here, or not all of it is there.
    Invalid,
    /// The last frame has been read.
    End,
}

/// Reads frames from a position up to an end.
pub(crate) struct Cursor<'f, F> {
    file: &'f F,
    salt: u64,
    position: u64,
    until: u64,
    chunk: Bytes,
    /// Where the chunk begins.
    chunk_at: u64,
}

impl<'f, F: DiskFile> Cursor<'f, F> {
    pub(crate) fn new(file: &'f F, salt: u64, position: u64, until: u64) -> Self {
        Self { file, salt, position, until, chunk: Bytes::new(), chunk_at: 0 }
    }

    /// Where the next frame begins.
    pub(crate) fn position(&self) -> u64 {
        self.position
    }

    pub(crate) fn next(&mut self) -> Result<Next, LogError> {
        if self.position >= self.until {
            return Ok(Next::End);
        }
        let frame = self.frame_at(self.position)?;
        let Some(body) = frame else { return Ok(Next::Invalid) };
        let position = self.position;
        self.position = aligned(position + (HEADER_BYTES + body.len()) as u64);
        Ok(Next::Frame { position, body })
    }

    /// Whether a whole frame begins anywhere behind the one that is next.
    pub(crate) fn finds_a_later_frame(&mut self) -> Result<Option<u64>, LogError> {
        let mut position = self.position + frame::ALIGNMENT;
        while let Some(magic) = self.bytes(position, frame::MAGIC.len())? {
            if magic[..] == frame::MAGIC && self.frame_at(position)?.is_some() {
                return Ok(Some(position));
            }
            position += frame::ALIGNMENT;
        }
        Ok(None)
    }

    fn frame_at(&mut self, position: u64) -> Result<Option<Bytes>, LogError> {
        let Some(header) = self.bytes(position, HEADER_BYTES)? else { return Ok(None) };
        let header: [u8; HEADER_BYTES] = header[..].try_into().unwrap_or_default();
        let Some(length) = frame::body_length(&header) else { return Ok(None) };
        let Some(body) = self.bytes(position + HEADER_BYTES as u64, length)? else { return Ok(None) };
        Ok(frame::is_whole(&header, &body, self.salt, position).then_some(body))
    }

    /// Bytes of the file; `None`: they would go past the end.
    fn bytes(&mut self, position: u64, length: usize) -> Result<Option<Bytes>, LogError> {
        let end = position + length as u64;
        if end > self.until {
            return Ok(None);
        }
        if position < self.chunk_at || end > self.chunk_at + self.chunk.len() as u64 {
            let wanted = (length as u64).max(CHUNK_BYTES).min(self.until - position);
            let mut chunk = vec![0; wanted as usize];
            self.file.read_at(&mut chunk, position).map_err(LogError::Refused)?;
            (self.chunk, self.chunk_at) = (chunk.into(), position);
        }
        let from = (position - self.chunk_at) as usize;
        Ok(Some(self.chunk.slice(from..from + length)))
    }
}
