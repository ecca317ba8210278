//! What a peer can do wrong after the handshake, and the close code that each is answered with.

use thiserror::Error;

/// Why a connection must be failed (RFC 6455 §7.1.7).
///
/// The machine has stopped: whatever is still received is discarded. The caller flushes what it owes for the
/// events delivered before, sends a close frame with [`Violation::close_code`] and lets the transport go.
/// `Display` is short enough to be the reason of that frame.
#[derive(Clone, Copy, Debug, Error, PartialEq, Eq)]
pub enum Violation {
    /// A reserved bit is set and no extension gives it a meaning.
    #[error("reserved bits are set")]
    ReservedBits,
    /// Opcodes 3–7 and 11–15.
    #[error("reserved opcode")]
    ReservedOpcode,
    /// A ping, pong or close without FIN.
    #[error("fragmented control frame")]
    FragmentedControl,
    /// A control frame announces more than [`crate::MAX_CONTROL_BYTES`].
    #[error("control frame over 125 bytes")]
    OversizedControl,
    /// A continuation frame, but no message is open.
    #[error("continuation of nothing")]
    UnexpectedContinuation,
    /// A text or binary frame inside a fragmented message.
    #[error("a new message before the last one ended")]
    InterleavedMessage,
    /// A client's frame must be masked (§5.1).
    #[error("frame is not masked")]
    Unmasked,
    /// A server's frame must not be masked (§5.1).
    #[error("frame is masked")]
    Masked,
    /// The length fits a shorter encoding (§5.2).
    #[error("length is not minimally encoded")]
    NonMinimalLength,
    /// The highest bit of a 64-bit length is set (§5.2).
    #[error("length over 63 bits")]
    LengthOverflow,
    /// The message is, or announces to become, larger than [`crate::Limits::max_message_bytes`].
    #[error("message too large")]
    MessageTooLarge,
    /// A text message or a close reason is not UTF-8 (§8.1).
    #[error("invalid UTF-8")]
    InvalidUtf8,
    /// A close frame with one byte: too short for a code (§5.5.1).
    #[error("close frame of one byte")]
    TruncatedCloseCode,
    /// A close code that must not appear on the wire (§7.4).
    #[error("invalid close code")]
    InvalidCloseCode,
}

impl Violation {
    /// The code to close with: 1007 for broken UTF-8, 1009 for size, 1002 for all else.
    #[must_use]
    pub fn close_code(self) -> u16 {
        match self {
            Self::InvalidUtf8 => 1007,
            Self::MessageTooLarge => 1009,
            _ => 1002,
        }
    }
}
