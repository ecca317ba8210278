//! One client connection without I/O: upgrade, frames, pongs and the closing handshake.

use ringside_websocket::handshake::{AnswerError, ResponseParser, write_request};
use ringside_websocket::{Connection, Event, Limits, Opcode, Role, Violation, write_close, write_frame};
use thiserror::Error;

use super::Target;

/// The largest message taken from a server; a sync page of 200 messages of 64 KiB fits.
pub const MAX_INCOMING_BYTES: u32 = 32 * 1024 * 1024;

/// What the server said.
#[derive(Debug, PartialEq, Eq)]
pub enum Input<'a> {
    /// The upgrade is done; `hello` follows.
    Upgraded,
    Text(&'a [u8]),
    /// The server closed; the answer is queued already.
    Closed(Option<u16>),
}

/// Why a connection can't go on.
#[derive(Debug, Error, PartialEq, Eq)]
pub enum Failure {
    /// The server refused the upgrade with this status.
    #[error("the upgrade was refused with status {0}")]
    Refused(u16),
    /// The answer to the upgrade makes no sense.
    #[error("the upgrade's answer is wrong: {0}")]
    Answer(#[from] AnswerError),
    /// The server broke RFC 6455.
    #[error("the server broke the protocol: {0:?}")]
    Violation(Violation),
    /// The server sent a binary message, which the contract never does.
    #[error("the server sent a binary message")]
    Binary,
}

enum State {
    Upgrading(Box<ResponseParser>),
    Open(Connection),
}

/// One connection from the client's side.
///
/// [`Machine::receive`] takes all that was read; what has to be written is appended to the caller's `out`.
pub struct Machine {
    state: State,
    mask: u32,
}

impl Machine {
    /// Appends the upgrade request to `out`. `nonce` should differ between connections; it also seeds the masks.
    pub fn connect(out: &mut Vec<u8>, target: &Target, token: &str, nonce: u128) -> Self {
        let authorization = format!("Bearer {token}");
        write_request(
            out,
            &target.host,
            &target.path,
            nonce.to_le_bytes(),
            &[("Authorization", &authorization)],
        );
        let parser = ResponseParser::new(nonce.to_le_bytes());
        Self { state: State::Upgrading(Box::new(parser)), mask: nonce as u32 | 1 }
    }

    /// Takes what was read. Pongs and the answer to a close are appended to `out`.
    pub fn receive(
        &mut self,
        input: &mut [u8],
        out: &mut Vec<u8>,
        sink: &mut impl FnMut(Input<'_>),
    ) -> Result<(), Failure> {
        let mut rest = input;
        if let State::Upgrading(parser) = &mut self.state {
            let Some((response, consumed)) = parser.receive(rest)? else { return Ok(()) };
            if !response.is_upgraded() {
                return Err(Failure::Refused(response.status()));
            }
            let limits = Limits { max_message_bytes: MAX_INCOMING_BYTES };
            self.state = State::Open(Connection::new(Role::Client, limits));
            sink(Input::Upgraded);
            rest = &mut rest[consumed..];
        }
        let State::Open(connection) = &mut self.state else { return Ok(()) };
        let mask = &mut self.mask;
        let mut binary = false;
        let outcome = connection.receive(rest, &mut |event| match event {
            Event::Text(text) => sink(Input::Text(text)),
            Event::Binary(_) => binary = true,
            Event::Ping(payload) => write_frame(out, Opcode::Pong, payload, Some(next_mask(mask))),
            Event::Pong(_) => {}
            Event::Close { code, .. } => {
                write_close(out, code, "", Some(next_mask(mask)));
                sink(Input::Closed(code));
            }
        });
        outcome.map_err(Failure::Violation)?;
        if binary { Err(Failure::Binary) } else { Ok(()) }
    }

    /// Whether the upgrade is done.
    pub fn is_open(&self) -> bool {
        matches!(self.state, State::Open(_))
    }

    /// Appends a text message to `out`.
    pub fn write_text(&mut self, out: &mut Vec<u8>, text: &[u8]) {
        write_frame(out, Opcode::Text, text, Some(next_mask(&mut self.mask)));
    }

    /// Appends a close frame to `out`.
    pub fn write_close(&mut self, out: &mut Vec<u8>, code: u16) {
        write_close(out, Some(code), "", Some(next_mask(&mut self.mask)));
    }
}

/// Xorshift: masks have to differ, not to be secret, when both ends are ours.
fn next_mask(state: &mut u32) -> [u8; 4] {
    *state ^= *state << 13;
    *state ^= *state >> 17;
    *state ^= *state << 5;
    state.to_le_bytes()
}
