//! Log, MessageStore, Committer, Presence and KeyStore on one machine.
//!
//! Log and store are keyspaces of one database (fjall), so that a commit is one atomic batch. One thread writes: it
//! takes what has gathered while the last batch was synced, makes one batch of it, syncs, and answers everyone.
//!
//! * [`Engine`]: opens a data folder; [`EmbeddedLog`], [`EmbeddedStore`], [`EmbeddedCommitter`] are handles to it.
//! * [`MemoryPresence`]: who is connected, and limits; gone with the process.
//! * [`KeyFiles`]: the keys that sign access tokens, a file each.

mod clock;
mod committer;
mod config;
mod engine;
mod folder;
mod keys;
mod log;
mod moment;
mod presence;
mod store;
mod tables;

pub use clock::Clock;
pub use committer::EmbeddedCommitter;
pub use config::{Config, LOG_RETENTION_MIN, Partitions};
pub use engine::counters::Counters;
pub use engine::{Engine, QUEUE_BYTES_MAX, QUEUE_REQUESTS_MAX};
pub use folder::{FORMAT, OpenError};
pub use keys::{KEY_FILE_BYTES_MAX, KeyFileError, KeyFiles};
pub use log::{EmbeddedLog, GROUP_METADATA_BYTES_MAX, RECORD_BYTES_MAX};
pub use moment::Moment;
pub use presence::bucket::{Bucket, Clocked};
pub use presence::{BUCKETS_MAX, CONNECTIONS_MAX, MemoryPresence};
pub use store::EmbeddedStore;
