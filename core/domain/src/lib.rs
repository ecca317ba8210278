//! Channels, membership, sequencing and idempotency as pure functions of the log.

pub mod rows;
