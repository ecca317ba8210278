//! RFC 6455 as a machine without I/O, both roles.
//!
//! The crate holds no socket, clock, randomness or `async`: bytes come in as slices, events go out through
//! a closure, frames are appended to the caller's buffer, mask keys and nonces are arguments.
//!
//! * [`handshake`]: the opening handshake, the server's side ([`handshake::RequestParser`]) and the
//!   client's ([`handshake::ResponseParser`]).
//! * [`Connection`]: everything that a peer may send after it, unmasked and checked in place.
//! * [`write_frame`], [`write_close`], [`frame_header`]: everything that may be sent.
//!
//! A frame that lies whole inside one input costs no copy and no allocation; an idle connection is
//! [`Connection`] alone, 32 bytes.

#![warn(missing_docs)]

mod close;
mod connection;
mod frame;
pub mod handshake;
mod mask;
mod partial;
mod utf8;
mod violation;

pub use close::{MAX_CLOSE_REASON_BYTES, is_valid_close_code, write_close};
pub use connection::{Connection, Event, Limits, Role};
pub use frame::{FrameHeader, MAX_CONTROL_BYTES, MAX_HEADER_BYTES, Opcode, frame_header, write_frame};
pub use mask::apply_mask;
pub use violation::Violation;
