//! The sessions of a shard with their sockets; the shard's index of channels, and fan-out.
//!
//! [`Shard`] is a reactor's handler: one [`Gateway`], no locks. It asks the node by [`HandOver`], and is told by
//! mail. Everything that it knows of a channel it knows from the node, in the order of the chain.

mod config;
mod counters;
mod deliveries;
mod events;
mod gateway;
mod index;
mod memberships;
mod outgoing;
pub mod recorder;
mod shard;
mod signals;
mod sockets;
mod table;

pub use config::{Config, PeerLookup, SPARE_CONNECTIONS};
pub use counters::Counters;
pub use gateway::{Gateway, Input};
pub use outgoing::HandOver;
pub use ringside_session::handshake::{AUTH_REFUSAL_REASONS, REFUSAL_REASONS};
pub use ringside_session::origins::Origins;
pub use shard::Shard;
pub use sockets::Sockets;
