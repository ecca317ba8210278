//! Engines over folders that go with the test.

use std::sync::Mutex;

use ringside_embedded::{Config, Engine};
use tempfile::TempDir;

/// Settings for tests: little memory, and no claim on the disk's room.
pub fn config() -> Config {
    Config { tail_bytes: 256 * 1024, cache_bytes: 8 * 1024 * 1024, free_bytes_min: 0, ..Config::default() }
}

/// Makes engines over fresh folders, which live as long as this.
#[derive(Default)]
pub struct Folders(Mutex<Vec<TempDir>>);

impl Folders {
    pub fn engine(&self) -> Engine {
        let folder = tempfile::tempdir().expect("a temporary folder");
        let engine = Engine::open(folder.path(), config()).expect("opens");
        self.0.lock().expect("no test panics here").push(folder);
        engine
    }
}
