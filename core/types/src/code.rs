//! The codes of the public contract: errors in frames and problems, and close codes.

use std::fmt;

use serde::{Deserialize, Serialize};

/// Why a command was refused, as clients read it.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum ErrorCode {
    /// Not an envelope, nests too deep, or a field fails validation.
    BadRequest,
    /// The frame's `type` is not one that this server answers.
    UnknownType,
    /// The caller is not in the channel.
    NotAMember,
    /// The caller may not do this.
    Forbidden,
    /// There is no such thing, or not for the caller.
    NotFound,
    /// A limit was reached; `retry_after_ms` says when to come back.
    RateLimited,
    /// Larger than the limit.
    PayloadTooLarge,
    /// Not confirmed: retry with the same id. It may appear even without a retry.
    Unavailable,
    /// A fault of the server.
    Internal,
}

impl ErrorCode {
    /// The code's name on the wire.
    pub const fn name(self) -> &'static str {
        match self {
            Self::BadRequest => "bad_request",
            Self::UnknownType => "unknown_type",
            Self::NotAMember => "not_a_member",
            Self::Forbidden => "forbidden",
            Self::NotFound => "not_found",
            Self::RateLimited => "rate_limited",
            Self::PayloadTooLarge => "payload_too_large",
            Self::Unavailable => "unavailable",
            Self::Internal => "internal",
        }
    }
}

impl fmt::Display for ErrorCode {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name())
    }
}

/// Close codes that the server sends (RFC 6455 section 7.4 and the contract's own classes).
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug)]
#[repr(u16)]
pub enum CloseCode {
    /// The close handshake that the peer began, answered.
    Normal = 1000,
    /// A violation of RFC 6455.
    Protocol = 1002,
    /// A binary message.
    Unsupported = 1003,
    /// Text that is not UTF-8.
    InvalidData = 1007,
    /// A message above the limit.
    TooBig = 1009,
    /// Policy; don't reconnect.
    Policy = 4003,
    /// Signed out; don't reconnect.
    SignedOut = 4009,
    /// Overloaded; back off and reconnect.
    Overloaded = 4100,
    /// The reader was too slow; back off and reconnect.
    SlowConsumer = 4108,
    /// The token expired; refresh, then reconnect at once.
    TokenExpired = 4201,
    /// The edge drains; reconnect at once, to another edge.
    Draining = 4212,
}
