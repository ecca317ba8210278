//! Serving a router over HTTP/1.1: bounded in connections and time, strict in heads, with TLS where it is asked for.
//!
//! * [`Server`] takes a port and serves a router there; [`Hosts`] says which names it answers to.
//! * [`WebSocketProxy`] passes `/ws` of that port on to the edge, byte for byte.
//! * [`Reached`] and [`EdgeAddress`]: how a client came here, and where it finds the edge from there.
//!
//! It knows no service: what is served is the caller's router.

mod answers;
mod connections;
mod edge_address;
mod forwarded;
mod head;
mod host;
mod pace;
mod rest;
mod server;
mod stream;
mod websocket_proxy;
mod wire;

pub use answers::{Authenticated, method_not_allowed, not_found, security_headers};
pub use connections::ConnectionTable;
pub use edge_address::EdgeAddress;
pub use forwarded::{Reached, forwarded_headers, peer};
pub use host::{AllowedHosts, Hosts};
pub use server::{BindError, Server};
pub use websocket_proxy::{Callers, WebSocketProxy};
