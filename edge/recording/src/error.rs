//! Why a recording can't be made or read.

use std::io;
use std::path::PathBuf;

/// Why a recording can't be made or read.
#[derive(Debug, thiserror::Error)]
pub enum RecordingError {
    /// The folder can't be made.
    #[error("the recording can't be written to {folder}: {cause}. Name another folder in `recording_dir`")]
    Folder {
        /// Where recordings were to be made.
        folder: PathBuf,
        /// In the system's words.
        cause: io::Error,
    },
    /// A track can't be read.
    #[error("{file}: {cause}")]
    File {
        /// The file of the track.
        file: PathBuf,
        /// In the system's words.
        cause: io::Error,
    },
    /// A line is no entry of this version.
    #[error("{file}, line {line}: {cause}. Replay it with the version that recorded it")]
    Line {
        /// The file of the track.
        file: PathBuf,
        /// The line's number in it, counted from 1.
        line: usize,
        /// In the parser's words.
        cause: serde_json::Error,
    },
}
