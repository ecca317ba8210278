//! Why a handshake is refused, by the server or by the client.

use thiserror::Error;

/// A head that is not HTTP/1.1 as this end accepts it.
#[derive(Clone, Copy, Debug, Error, PartialEq, Eq)]
pub enum Malformed {
    /// A line feed without a carriage return before it.
    #[error("a line ends without CR")]
    BareLineFeed,
    /// A carriage return without a line feed behind it.
    #[error("CR without LF")]
    BareCarriageReturn,
    /// A control character, other than a tab in a value.
    #[error("a control character in the head")]
    ControlCharacter,
    /// A line begins with white space: an obsolete folded line, or none that could be meant.
    #[error("a line begins with white space")]
    FoldedLine,
    /// The request or status line is not `METHOD target HTTP/1.1` or `HTTP/1.1 status reason`.
    #[error("malformed first line")]
    FirstLine,
    /// Not HTTP/1.1.
    #[error("HTTP/1.1 is needed")]
    HttpVersion,
    /// The target is neither an absolute path nor an http(s) URI, or holds a fragment.
    #[error("malformed request target")]
    Target,
    /// No colon, or a name that is not a token (white space before the colon included).
    #[error("malformed header line")]
    HeaderLine,
    /// No `Host`, or one that is not a host.
    #[error("Host is missing or malformed")]
    Host,
    /// A header that may come once came twice.
    #[error("duplicate header")]
    DuplicateHeader,
    /// `Content-Length` above 0, or `Transfer-Encoding`.
    #[error("a body is not expected")]
    Body,
    /// A header that must be text is not.
    #[error("a header is not ASCII")]
    NotAscii,
    /// `Upgrade` does not list `websocket`.
    #[error("Upgrade: websocket is missing")]
    Upgrade,
    /// `Connection` does not list `Upgrade`.
    #[error("Connection: Upgrade is missing")]
    Connection,
    /// `Sec-WebSocket-Key` is missing or not the base64 of 16 bytes.
    #[error("Sec-WebSocket-Key is missing or not 16 bytes in base64")]
    Key,
    /// `Sec-WebSocket-Protocol` holds something that is not a token.
    #[error("malformed Sec-WebSocket-Protocol")]
    Protocol,
}

/// Why the server does not upgrade; `Display` says it to a person.
#[derive(Clone, Copy, Debug, Error, PartialEq, Eq)]
pub enum Refusal {
    /// 400
    #[error(transparent)]
    Malformed(#[from] Malformed),
    /// 405: not a GET.
    #[error("the method is not GET")]
    Method,
    /// 426: the version is not 13, or missing.
    #[error("Sec-WebSocket-Version is not 13")]
    Version,
    /// 431: no blank line within [`super::MAX_HEAD_BYTES`].
    #[error("the headers are larger than 16 KiB")]
    TooLarge,
}

impl Refusal {
    /// The status to answer with.
    #[must_use]
    pub fn status(self) -> u16 {
        match self {
            Self::Malformed(_) => 400,
            Self::Method => 405,
            Self::Version => 426,
            Self::TooLarge => 431,
        }
    }

    /// The headers that the status asks for (RFC 9110 §15.5.6, §15.5.22; RFC 6455 §4.4), for
    /// [`super::write_refusal`].
    #[must_use]
    pub fn headers(self) -> &'static [(&'static str, &'static str)] {
        match self {
            Self::Malformed(_) | Self::TooLarge => &[],
            Self::Method => &[("Allow", "GET")],
            Self::Version => &[
                ("Sec-WebSocket-Version", super::VERSION),
                ("Upgrade", "websocket"),
                ("Connection", "Upgrade"),
            ],
        }
    }
}

/// Why the client can't take the server's answer for a handshake.
#[derive(Clone, Copy, Debug, Error, PartialEq, Eq)]
pub enum AnswerError {
    /// The head is malformed.
    #[error(transparent)]
    Malformed(#[from] Malformed),
    /// No blank line within [`super::MAX_HEAD_BYTES`].
    #[error("the headers are larger than 16 KiB")]
    TooLarge,
    /// `Sec-WebSocket-Accept` is missing or does not answer the key that was sent.
    #[error("Sec-WebSocket-Accept does not answer the key")]
    Accept,
    /// The server turned on an extension that was not offered.
    #[error("an extension that was not offered")]
    Extension,
}
