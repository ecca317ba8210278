//! The Directory and the signing keys on PostgreSQL: accounts, sessions, people, channels, members, and the outbox.
//!
//! Only the primary is asked, and it decides by row locks and unique indexes, so that any number of processes may hold
//! a [`Directory`] of one database. [`init`] makes or migrates the database, [`plan`] says what it would do, and [`check`]
//! what a server lacks.

mod accounts;
mod channels;
mod check;
mod config;
mod directory;
mod failure;
mod keys;
mod people;
mod pool;
mod rows;
mod schema;
mod transaction;

pub use check::{Finding, Subject, check};
pub use config::{Config, Host, InvalidUrl, Secret, Tls};
pub use directory::Directory;
pub use failure::OpenError;
pub use keys::{MasterKey, PostgresKeys};
pub use schema::{Applied, init, plan};
