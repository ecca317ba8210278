//! What an edge knows beyond its sockets: its lease of a slot, the channels that it listens to, who is connected, and what
//! they are members of.
//!
//! ```text
//! shards --ToNode--> node --Effect--> log, backend
//! shards <-ToShard-- node <-Completion, Record-- log, backend
//! ```
//! [`Node`] is a machine without I/O; [`run`] drives it over a log and a [`Backend`](ringside_application::backend::Backend).

mod admissions;
mod chains;
mod config;
mod counters;
mod deliveries;
mod doubts;
mod effect;
mod gaps;
mod inbound;
mod joins;
mod keys;
mod memberships;
mod names;
mod node;
mod now;
mod policies;
mod presence;
mod reads;
mod recent;
pub mod recorder;
mod registry;
mod retry;
mod runner;
mod signals;
mod submissions;

pub use admissions::Applicant;
pub use config::{Config, REQUEST_BATCHES_MAX};
pub use counters::Counters;
pub use effect::{Batch, Completion, Effect, Question, carry_out};
pub use node::{Node, Partitions};
pub use now::Now;
pub use presence::{Changing, Looking};
pub use reads::Reader;
pub use runner::{NodeError, ShardLinks, ToShards, run};
pub use submissions::{Check, Outgoing};
