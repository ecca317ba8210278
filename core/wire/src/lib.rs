//! The client protocol and the internal records: bytes to values and back.
//!
//! [`command`] reads what clients send, [`event`] writes what they are sent, [`records`] is what the log
//! holds. The client protocol is JSON in WebSocket text messages; records are protobuf.

pub mod amendment;
pub mod command;
mod depth;
pub mod event;
pub mod mention;
pub mod message;
mod prose;
#[allow(missing_docs, clippy::all, clippy::pedantic)]
#[rustfmt::skip]
pub mod records;
mod roundtrip;
mod serial;
pub mod signals;

pub use roundtrip::{InvalidRecord, channel_id, client_id, decode, encode, user_id};
