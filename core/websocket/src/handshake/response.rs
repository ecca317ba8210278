//! The client's side: the server's answer.

use super::fields::{Fields, ascii};
use super::head::{Head, HeadError};
use super::refusal::{AnswerError, Malformed};
use super::write::{accept_key, client_key};

/// Receives the answer to one [`super::write_request`].
#[derive(Debug)]
pub struct ResponseParser {
    head: Head,
    accept: [u8; 28],
}

impl ResponseParser {
    /// For the request that was sent with `nonce`.
    #[must_use]
    pub fn new(nonce: [u8; 16]) -> Self {
        let key = client_key(nonce);
        let accept = accept_key(std::str::from_utf8(&key).expect("base64 is ASCII"));
        Self { head: Head::default(), accept }
    }

    /// Takes the next input. `None` asks for more; otherwise the head of the answer, and how many bytes of
    /// `input` belong to it: the rest is for the [`crate::Connection`] after a 101, the body after anything
    /// else.
    ///
    /// # Errors
    /// An answer that is malformed, or a 101 that does not fit the request.
    pub fn receive(&mut self, input: &[u8]) -> Result<Option<(Response<'_>, usize)>, AnswerError> {
        match self.head.receive(input) {
            Ok(None) => Ok(None),
            Ok(Some(consumed)) => {
                let (first_line, lines) = self.head.split();
                let response = Response::parse(first_line, lines)?;
                if response.status == 101 {
                    response.check_upgrade(&self.accept)?;
                }
                Ok(Some((response, consumed)))
            }
            Err(HeadError::Malformed(malformed)) => Err(malformed.into()),
            Err(HeadError::TooLarge) => Err(AnswerError::TooLarge),
        }
    }
}

/// The head of the server's answer: a checked 101, or a refusal.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Response<'a> {
    status: u16,
    fields: Fields<'a>,
}

impl<'a> Response<'a> {
    fn parse(first_line: &'a [u8], lines: &'a [u8]) -> Result<Self, Malformed> {
        let rest = first_line.strip_prefix(b"HTTP/1.1 ").ok_or(Malformed::FirstLine)?;
        let (digits, reason) = rest.split_at_checked(3).ok_or(Malformed::FirstLine)?;
        if !digits.iter().all(u8::is_ascii_digit) || !(reason.is_empty() || reason.starts_with(b" ")) {
            return Err(Malformed::FirstLine);
        }
        let status = digits.iter().fold(0, |status, digit| status * 10 + u16::from(digit - b'0'));
        Ok(Self { status, fields: Fields::parse(lines)? })
    }

    /// RFC 6455 §4.1; this client offers no extensions.
    fn check_upgrade(&self, accept: &[u8]) -> Result<(), AnswerError> {
        if !self.fields.lists("upgrade", "websocket") {
            return Err(Malformed::Upgrade.into());
        }
        if !self.fields.lists("connection", "upgrade") {
            return Err(Malformed::Connection.into());
        }
        if self.header("sec-websocket-accept") != Some(accept) {
            return Err(AnswerError::Accept);
        }
        if self.fields.list("sec-websocket-extensions").next().is_some() {
            return Err(AnswerError::Extension);
        }
        Ok(())
    }

    /// Whether the connection is a WebSocket from here on.
    #[must_use]
    pub fn is_upgraded(&self) -> bool {
        self.status == 101
    }

    /// The status.
    #[must_use]
    pub fn status(&self) -> u16 {
        self.status
    }

    /// The subprotocol that the server selected; whether it was offered is the caller's to check.
    #[must_use]
    pub fn protocol(&self) -> Option<&'a str> {
        self.header("sec-websocket-protocol").and_then(ascii)
    }

    /// The first header called `name`, in any case.
    #[must_use]
    pub fn header(&self, name: &str) -> Option<&'a [u8]> {
        self.fields.first(name)
    }

    /// All headers.
    #[must_use]
    pub fn fields(&self) -> Fields<'a> {
        self.fields
    }
}
