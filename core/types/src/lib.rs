//! Ids, limits, units and errors that every floor speaks of.
//!
//! Nothing here does I/O, reads a clock or draws a random number, but for the seeds of [hashes](hash).

#![warn(missing_docs)]

pub mod authorization;
mod code;
pub mod forwarded;
pub mod hash;
pub mod histogram;
mod id;
pub mod limits;
mod log_position;
mod public_key;
pub mod security;
mod snowflake;
pub mod text;
mod time;

pub use code::{CloseCode, ErrorCode};
pub use histogram::{Histogram, HistogramSnapshot};
pub use id::{ChannelId, ClientId, ParseIdError, SessionId, UserId};
pub use limits::Limits;
pub use log_position::{Epoch, Offset, PartitionId, Slot, Topic, partition_of};
pub use public_key::PublicKey;
pub use snowflake::{MessageId, ParseMessageIdError, RINGSIDE_EPOCH_MS};
pub use time::{BootTime, UnixMillis};
