//! What the load tests share: clients of the public contract over [`websocket`] and [`rest`], and a [`server`] process to
//! try them on.
//!
//! It looks from outside, so it shares no code with the server but the RFC 6455 machine.

pub mod amendment;
pub mod cursor;
pub mod eviction;
pub mod percentile;
pub mod process;
pub mod rest;
pub mod seed_file;
pub mod server;
pub mod websocket;
