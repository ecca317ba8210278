//! The opening handshake (RFC 6455 §4), both sides: strict, bounded, linear in what arrives.
//!
//! Every byte is looked at once while it arrives and once more when the blank line is there; at most
//! [`MAX_HEAD_BYTES`] are held. Bytes behind the blank line are never touched: they belong to the
//! [`crate::Connection`] that exists after the 101, if there is one.

mod fields;
mod head;
mod refusal;
mod request;
mod response;
mod write;

pub use fields::Fields;
pub use head::MAX_HEAD_BYTES;
pub use refusal::{AnswerError, Malformed, Refusal};
pub use request::{Request, RequestParser};
pub use response::{Response, ResponseParser};
pub use write::{
    accept_key, client_key, write_refusal, write_refusal_head, write_request, write_switching_protocols,
};

/// The only version there is (RFC 6455 §4.1), as it stands in `Sec-WebSocket-Version`.
pub const VERSION: &str = "13";
