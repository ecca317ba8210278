//! The engines, each set up as its own documents advise for this load and with the same cache.

mod file;
mod fjall;
mod redb;
mod sqlite;

use std::error::Error;
use std::path::Path;

use clap::ValueEnum;

use crate::load::{Batch, Channel, Message};

/// Bytes of cache, the product's default.
const CACHE_BYTES: usize = 128 * 1024 * 1024;

/// Whatever an engine says went wrong: a bench can only stop.
pub type Outcome<T> = Result<T, Box<dyn Error + Send + Sync>>;

/// A store, as the load sees it.
pub trait Engine {
    /// Makes a batch durable.
    fn commit(&mut self, batch: &Batch) -> Outcome<()>;

    /// Reads the newest rows of a channel; returns how many there were.
    fn page(&self, channel: &Channel, rows: usize) -> Outcome<usize>;

    /// Whether all of a message is there.
    fn holds(&self, message: &Message) -> Outcome<bool>;
}

/// Which engine.
#[derive(Clone, Copy, Debug, ValueEnum)]
pub enum Kind {
    /// The floor: the same bytes appended to a file, and `fdatasync`. It can't be read.
    File,
    /// fjall, with the product's settings.
    Fjall,
    /// redb as it comes.
    Redb,
    /// redb with what makes a start after a crash quick.
    RedbQuick,
    /// SQLite with a write-ahead log, synced at each commit.
    Sqlite,
}

impl Kind {
    /// Opens the folder, or makes it.
    pub fn open(self, folder: &Path) -> Outcome<Box<dyn Engine>> {
        std::fs::create_dir_all(folder)?;
        Ok(match self {
            Self::File => Box::new(file::Floor::open(folder)?),
            Self::Fjall => Box::new(fjall::Fjall::open(folder)?),
            Self::Redb => Box::new(redb::Redb::open(folder, false)?),
            Self::RedbQuick => Box::new(redb::Redb::open(folder, true)?),
            Self::Sqlite => Box::new(sqlite::Sqlite::open(folder)?),
        })
    }
}
