//! The one door between the shards and tokio.
//!
//! ```text
//! shards --ToNode--> node --outbound--> log
//! shards <-ToShard- node <--inbound--- log, store, Directory
//! ```
//! The node holds what an edge knows beyond its sockets: its seat, the channels it listens to, who is connected
//! and what they are members of. All of it belongs to one task; reads and appends run beside it and report back.

mod config;
mod counters;
mod outbound;
mod pages;
mod post;
mod presence;
mod requests;
mod roster;
mod routing;
mod runner;
mod signals;
mod standards;
mod work;

pub use config::{Config, REQUEST_BATCHES_MAX};
pub use counters::Counters;
pub use post::Post;
pub use presence::EdgeDirectory;
pub use runner::{Engines, NodeError, run};
