//! A log of many streams in segment files: each group of records is written once, as one frame, and synced once.
//!
//! * [`Writer`]: stages records, then writes and syncs them as one [frame]. There is one for a folder.
//! * [`Reader`]: reads what is synced, from any thread.
//! * [`Disk`]: where the files are; [`Folder`] is one of the file system.
//!
//! A stream is a partition of a topic. All streams share the files, so that a group takes one `fdatasync` whatever is in
//! it. A segment is filled with zeros before it is used: a sync that neither changes a file's length nor allocates blocks
//! is no commit of the file system's journal. Retention removes whole segments.

#![warn(missing_docs)]

mod cursor;
mod disk;
mod error;
pub mod frame;
mod index;
mod prepare;
mod reader;
mod recover;
mod segment;
mod stream;
mod writer;

pub use disk::{BLOCK_BYTES, Disk, DiskFile, Folder, FolderFile};
pub use error::{DamagedLog, LogError};
pub use reader::{Reader, StoredRecord};
pub use stream::{End, Stream};
pub use writer::{Config, Writer};
