//! What can go wrong with a log.

use std::io;

use crate::stream::Stream;

/// What is kept is not what was written, or something of it is missing. Nothing is repaired by guessing.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{file} of the log: {what}")]
pub struct DamagedLog {
    /// The file's name.
    pub file: String,
    /// What is wrong with it, and where.
    pub what: String,
}

/// Why the log can't be opened, read or written.
#[derive(Debug, thiserror::Error)]
pub enum LogError {
    /// See [`DamagedLog`].
    #[error(transparent)]
    Damaged(#[from] DamagedLog),
    /// The system refused, and nothing was written: it may work later.
    #[error("{0}")]
    Refused(io::Error),
    /// A write or a sync failed. What the disk holds of the last group is unknown, and a later sync that succeeds says
    /// nothing about it (Rebello et al., "Can Applications Recover from fsync Failures?", USENIX ATC 2020): the writer
    /// writes nothing any more, and only opening the log anew tells what is there.
    #[error("{0}")]
    Failed(io::Error),
    /// The records before this offset are gone.
    #[error("offset {from} of {stream} is gone: the log begins at {start}")]
    BelowStart {
        /// Of which stream.
        stream: Stream,
        /// What was asked for.
        from: u64,
        /// Where it begins.
        start: u64,
    },
}

pub(crate) fn damaged(file: &str, what: impl Into<String>) -> DamagedLog {
    DamagedLog { file: file.to_owned(), what: what.into() }
}
