//! Sequence, store, route: the processor of a partition, and the messages that REST sends and reads.
//!
//! * [`processor::run`] drives `ringside_domain::partition` over a log, a store and a committer.
//! * [`lease_reaper`] strikes dead edges off, in every partition.
//! * [`stepwise::Stepwise`] is the committer for a log and a store that share no database.
//! * [`replies`] brings processors' answers to REST.
//! * [`messages::Messages`] is the service's contract.

mod access;
mod amendments;
pub mod lease_reaper;
pub mod messages;
mod pack;
pub mod processor;
pub mod replies;
pub mod stepwise;
