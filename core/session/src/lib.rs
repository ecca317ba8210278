//! One connection's life: tokens, sync, and the mail between shards and bridge. No I/O, no clock, no randomness.
//!
//! * [`cursor`]: where a connection stands in a channel; [`heartbeat`]: pings, silence, expiry.
//! * [`mail`]: what gateway and bridge tell one another, which never import each other.
//! * [`token`]: access tokens, verified with public keys alone.

pub mod cursor;
pub mod heartbeat;
pub mod mail;
pub mod token;
