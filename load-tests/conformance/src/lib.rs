//! What the contract promises, tried on servers started for it: one check after the other by [`run`], and by
//! [`abuse`] what honest users notice of attacks.
//!
//! A check is an async function over a `TestServer` with a time limit; one that fails says what was expected and what came.

pub mod abuse;
mod amendments;
mod attacks;
mod bad_input;
mod channels;
mod chat;
mod drain;
mod limits;
mod mentions;
mod presence;
mod receipts;
mod slow_reader;
mod suite;
mod test_server;
mod typing;
mod websocket_proxy;

pub use suite::{CheckError, CheckOptions, run};
