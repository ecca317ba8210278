//! One connection's life: tokens, sync, and the mail between shards and node. No I/O, no clock, no randomness.
//!
//! * [`budget`]: what a user's frames and handshakes may cost.
//! * [`cursor`]: where a connection stands in a channel; [`heartbeat`]: pings, silence, expiry.
//! * [`reader`]: what it still has to read of its channels: syncs, and channels joined late.
//! * [`token`]: access tokens, verified with public keys alone.

pub mod budget;
pub mod cursor;
pub mod heartbeat;
pub mod reader;
pub mod token;
