//! One connection's life as a machine without I/O, clock or randomness: [`session::Session`] and its parts.
//!
//! * [`session`]: the machine, from the first byte of the request to the close.
//! * [`context`]: what it is lent for a call; [`delivery`]: what the node tells it; [`output`]: what it asks for.
//! * [`frames`]: what clients are sent, as bytes; [`handshake`] and [`origins`]: who may connect.
//! * [`token`]: access tokens, verified with public keys alone; [`budget`]: what a user's frames may cost.
//! * [`heartbeat`]: pings, silence, expiry; [`reader`] and [`cursor`]: reading what was missed.

pub mod budget;
pub mod context;
pub mod cursor;
pub mod delivery;
pub mod frames;
pub mod handshake;
pub mod heartbeat;
pub mod limits;
pub mod origins;
pub mod output;
pub mod reader;
pub mod session;
pub mod token;
