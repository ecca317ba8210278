//! The name of a connection, and why one ends.

use std::fmt;

/// Bits of a [`ConnectionId`] that name the slot; the others are the slot's generation.
pub(crate) const SLOT_BITS: u32 = 32;

/// A connection of one shard: slot and generation. An id outlives its connection: a stale one is
/// ignored by every call. Never zero in its upper half, so that `0` can mean "none" elsewhere.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct ConnectionId(u64);

impl ConnectionId {
    pub(crate) fn new(slot: u32, generation: u32) -> ConnectionId {
        ConnectionId(u64::from(generation) << SLOT_BITS | u64::from(slot))
    }

    /// The slot: dense, reused after the connection's end. An index for a table beside the reactor's.
    #[must_use]
    pub fn slot(self) -> u32 {
        self.0 as u32
    }

    /// How often the slot was used before, plus one.
    #[must_use]
    pub fn generation(self) -> u32 {
        (self.0 >> SLOT_BITS) as u32
    }

    /// The id as one number, for logs, timer keys and mail.
    #[must_use]
    pub fn to_u64(self) -> u64 {
        self.0
    }

    /// The inverse of [`ConnectionId::to_u64`]. Any number is harmless: one that was never a
    /// connection is a stale id.
    #[must_use]
    pub fn from_u64(id: u64) -> ConnectionId {
        ConnectionId(id)
    }
}

impl fmt::Debug for ConnectionId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "connection {}#{}", self.slot(), self.generation())
    }
}

/// Why a connection ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum CloseReason {
    /// The peer closed its side; what was queued for it has been sent as far as it took it.
    PeerClosed,
    /// The peer reset the connection, or it broke while sending.
    Reset,
    /// The send queue passed its limit and the handler let the connection go on.
    QueueFull,
    /// The handler asked: `close_now`, or `close_after_flush` with everything sent.
    Requested,
    /// The handler asked with `close_after_flush`, or the peer closed its side, and the peer did not take the rest in `linger_ms`.
    LingerExpired,
    /// A connection of our own could not be made: the errno. `opened` was not called.
    ConnectFailed(i32),
    /// The shard stops.
    Stopping,
    /// Any other error of the socket: the errno.
    Error(i32),
}

impl CloseReason {
    /// The reason that an errno from send or receive stands for.
    pub(crate) fn from_errno(errno: i32) -> CloseReason {
        let error = rustix::io::Errno::from_raw_os_error(errno);
        match error {
            rustix::io::Errno::CONNRESET | rustix::io::Errno::PIPE => CloseReason::Reset,
            _ => CloseReason::Error(errno),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_id_is_its_slot_and_generation() {
        let id = ConnectionId::new(7, 3);
        assert_eq!((id.slot(), id.generation()), (7, 3));
        assert_eq!(ConnectionId::from_u64(id.to_u64()), id);
        assert_ne!(id, ConnectionId::new(7, 4));
    }
}
