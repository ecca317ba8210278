//! The Directory on SQLite: accounts, sessions, people, channels, members, and the outbox.
//!
//! One connection writes, several read. Answers depend on what is written, so every commit is synced.

mod accounts;
mod channels;
mod directory;
mod people;
mod rows;

pub use directory::{Directory, OpenError};
