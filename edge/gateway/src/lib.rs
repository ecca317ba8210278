//! Sockets, websocket and session put together; the shard's index of channels, and fan-out.
//!
//! [`Gateway`] is a reactor's handler: one per shard, no locks. It asks the node by [`HandOver`], and is told by
//! mail. Everything that it knows of a channel it knows from the node, in the order of the chain.

mod admission;
mod commands;
mod config;
mod connection;
mod counters;
mod deliveries;
mod frames;
mod gateway;
mod handshake;
mod index;
mod outgoing;
mod signals;
mod syncing;

pub use config::{Config, Origins, PeerLookup, SPARE_CONNECTIONS};
pub use counters::{AUTH_REFUSAL_REASONS, Counters};
pub use gateway::Gateway;
pub use handshake::REFUSAL_REASONS;
pub use outgoing::HandOver;
