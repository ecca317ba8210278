//! Channels, membership, sequencing and idempotency as pure functions of the log.
//!
//! * [`partition`]: the processor of one partition of `messages.send`. Records in, rows and events out.
//! * [`feed`]: an edge's side of it: which channels it listens to, and the chain that shows a lost record.
//! * [`lease`]: an edge's lease of its slot, computed from `control` alone.
//! * [`leases`]: which leases are over, for all of them, computed from `control` alone.
//! * [`rows`]: the tables that the log owns.
//! * [`view`]: a message of them as readers see it.
//!
//! Nothing here does I/O, reads a clock or draws a random number: time comes with the record or as an argument.

mod amend;
pub mod attention;
mod cache;
mod decide;
mod events;
pub mod feed;
pub mod lease;
pub mod leases;
mod membership;
pub mod page;
pub mod partition;
pub mod reactions;
pub mod rows;
pub mod view;
mod window;

pub use events::{edited_message, effective_of, effective_of_change};
