//! Log, MessageStore, Committer, Presence and KeyStore on one machine.
//!
//! The log is segment files (`ringside-segments`): one thread takes what has gathered while the last group was synced,
//! writes it as one frame, syncs, and answers everyone. The store is a database (fjall) that is a function of the log: a
//! commit is one atomic batch without a sync of its own, and what a crash takes of it is replayed.
//!
//! * [`Engine`]: opens a data folder; [`EmbeddedLog`], [`EmbeddedStore`], [`EmbeddedCommitter`] are handles to it.
//! * [`MemoryPresence`]: who is connected, and limits; gone with the process.
//! * [`MemoryBus`]: what is told to whoever listens now, within the process.
//! * [`KeyFiles`]: the keys that sign access tokens, a file each.

mod age;
mod bus;
mod clock;
mod committer;
mod config;
mod engine;
mod folder;
mod keys;
mod log;
mod moment;
mod opening;
mod presence;
mod store;
mod store_journal;
mod tables;

pub use bus::{MemoryBus, MemoryListener};
pub use clock::Clock;
pub use committer::EmbeddedCommitter;
pub use config::{Config, LOG_RETENTION_MIN, Partitions};
pub use engine::counters::Counters;
pub use engine::{Engine, QUEUE_BYTES_MAX, QUEUE_REQUESTS_MAX};
pub use folder::{FORMAT, HeldFolder, OpenError};
pub use keys::{KEY_FILE_BYTES_MAX, KeyFileError, KeyFiles};
pub use log::EmbeddedLog;
pub use moment::Moment;
pub use presence::bucket::{Bucket, Clocked};
pub use presence::{BUCKETS_MAX, CONNECTIONS_MAX, MemoryPresence};
pub use store::EmbeddedStore;
