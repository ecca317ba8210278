//! What no client should send: handshakes, frames and commands that are not as they must be.

pub(super) mod bad_frames;
pub(super) mod bad_handshakes;
