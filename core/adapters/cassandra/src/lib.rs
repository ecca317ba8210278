//! The message store on Cassandra or ScyllaDB.
//!
//! Every row that the log owns is written `USING TIMESTAMP` the stamp of its record, whole, with no column left out: of
//! two writes the later record's wins, whatever order they come in, and a write that is repeated changes nothing. So
//! every request may be sent again, and nothing is compared before it is written.
//!
//! * [`CassandraStore`]: opens a keyspace; a clone is another handle.
//! * [`init`] makes keyspace and tables, [`plan`] says what it would make, [`check`] what is wrong with them.

#![warn(missing_docs)]

mod buckets;
mod check;
mod config;
mod connection;
mod counters;
mod error;
mod init;
mod ranges;
mod reading;
mod requests;
mod rows;
mod schema;
mod statements;
mod store;
mod writing;

pub use check::{Finding, Severity, check};
pub use config::{Config, Credentials};
pub use counters::Counters;
pub use error::OpenError;
pub use init::{Step, init, plan};
pub use schema::SCHEMA_VERSION;
pub use store::CassandraStore;
