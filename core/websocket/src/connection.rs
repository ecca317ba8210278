//! The connection after the handshake: bytes in, events out.

use crate::close::read_close;
use crate::frame::{Decoded, Expected, Header, MAX_HEADER_BYTES, Opcode};
use crate::mask::apply_mask;
use crate::partial::{Completed, Partial};
use crate::violation::Violation;

/// Which end of the connection this is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Role {
    /// Receives masked frames and sends unmasked ones.
    Server,
    /// Receives unmasked frames and sends masked ones.
    Client,
}

/// What a peer may make this end hold.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Limits {
    /// The largest message, whole or assembled, in bytes of payload. A larger one is refused when it is
    /// announced.
    pub max_message_bytes: u32,
}

/// What the peer sent. Payloads are unmasked; they are lent from the input, or from the buffer of a message
/// that spanned several, and end with the call of the sink.
#[derive(Debug, PartialEq, Eq)]
pub enum Event<'a> {
    /// A text message: valid UTF-8, mutable so that a parser can work in place.
    Text(&'a mut [u8]),
    /// A binary message.
    Binary(&'a mut [u8]),
    /// A ping; the caller owes a pong with the same payload.
    Ping(&'a [u8]),
    /// A pong, asked for or not.
    Pong(&'a [u8]),
    /// The closing handshake, and the last event. Unless the caller sent its own close frame before, it owes
    /// one with the same code; a server then closes the transport.
    Close {
        /// A code that may appear on the wire ([`crate::is_valid_close_code`]), if there was one.
        code: Option<u16>,
        /// The peer's words; empty without a code.
        reason: &'a str,
    },
}

/// The receiving half of one WebSocket connection, either [`Role`].
///
/// Vocabulary: [`Connection::receive`] is the only input; it consumes all that it is given and calls the sink
/// for every [`Event`] in order. A [`Violation`] or a close ends the machine: what comes later is discarded.
/// Sending needs no state, see [`crate::write_frame`].
///
/// Events do not depend on how the transport cut the bytes.
#[derive(Debug)]
pub struct Connection {
    /// Present only between the pieces of a message or frame.
    partial: Option<Box<Partial>>,
    max_message_bytes: u32,
    /// A header that has not come whole, or whose payload has not begun.
    header: [u8; MAX_HEADER_BYTES],
    header_len: u8,
    role: Role,
    finished: bool,
}

/// What an idle connection costs: a million of them are 32 MB.
const _: () = assert!(size_of::<Connection>() <= 32);
const _: () = assert!(MAX_HEADER_BYTES <= u8::MAX as usize);

impl Connection {
    /// A connection whose handshake is over. Allocates nothing.
    #[must_use]
    pub fn new(role: Role, limits: Limits) -> Self {
        Self {
            partial: None,
            max_message_bytes: limits.max_message_bytes,
            header: [0; MAX_HEADER_BYTES],
            header_len: 0,
            role,
            finished: false,
        }
    }

    /// Whether a close or a violation ended the machine.
    #[must_use]
    pub fn is_finished(&self) -> bool {
        self.finished
    }

    /// Bytes allocated for an unfinished message; 0 for a connection between messages.
    #[must_use]
    pub fn buffered_bytes(&self) -> usize {
        self.partial.as_ref().map_or(0, |partial| size_of::<Partial>() + partial.capacity())
    }

    /// Consumes all of `input`, which it unmasks in place, and calls `sink` for every event, in order. A
    /// frame that lies whole in `input` is lent from there; only what spans inputs or fragments is copied,
    /// into a buffer that goes when its message ends.
    ///
    /// # Errors
    /// What the peer did wrong; events before it in the same input have been delivered.
    pub fn receive(&mut self, input: &mut [u8], sink: &mut impl FnMut(Event<'_>)) -> Result<(), Violation> {
        let outcome = self.consume(input, sink);
        if outcome.is_err() || self.finished {
            self.finished = true;
            self.partial = None;
        }
        outcome
    }

    fn consume(&mut self, mut rest: &mut [u8], sink: &mut impl FnMut(Event<'_>)) -> Result<(), Violation> {
        while !rest.is_empty() && !self.finished {
            if !self.in_frame() {
                let Some(header) = self.take_header(&mut rest)? else { break };
                let payload_len = header.payload_len as usize;
                let fragment = !header.fin || header.opcode == Opcode::Continuation;
                if payload_len <= rest.len() && !fragment {
                    let (payload, later) = rest.split_at_mut(payload_len);
                    self.whole_frame(&header, payload, sink)?;
                    rest = later;
                    continue;
                }
                self.partial.get_or_insert_default().begin(&header);
            }
            rest = self.continue_frame(rest, sink)?;
        }
        Ok(())
    }

    fn in_frame(&self) -> bool {
        self.partial.as_ref().is_some_and(|partial| partial.in_frame())
    }

    fn expected(&self) -> Expected {
        let (message_open, message_len) = self
            .partial
            .as_ref()
            .map_or((false, 0), |partial| (partial.message_open(), partial.message_len()));
        Expected {
            masked: self.role == Role::Server,
            message_open,
            // The length is within the limit: it was checked when each frame was announced.
            message_room: self.max_message_bytes - message_len as u32,
        }
    }

    /// The next header, once it is whole and its payload has begun, so that a payload that comes alone in the
    /// next input is still lent from there. Otherwise all of `rest` is kept.
    #[inline]
    fn take_header(&mut self, rest: &mut &mut [u8]) -> Result<Option<Header>, Violation> {
        let expected = self.expected();
        if self.header_len == 0
            && let Decoded::Complete(header, header_len) = Header::decode(rest, expected)?
            && (rest.len() > header_len || header.payload_len == 0)
        {
            *rest = &mut std::mem::take(rest)[header_len..];
            return Ok(Some(header));
        }
        loop {
            let len = usize::from(self.header_len);
            let needed = match Header::decode(&self.header[..len], expected)? {
                Decoded::Complete(header, _) if !rest.is_empty() || header.payload_len == 0 => {
                    self.header_len = 0;
                    return Ok(Some(header));
                }
                Decoded::Complete(..) => return Ok(None),
                Decoded::Incomplete { needed } => needed,
            };
            let available = rest.len().min(needed - len);
            let Some(arrived) = rest.split_off_mut(..available).filter(|arrived| !arrived.is_empty()) else {
                return Ok(None);
            };
            self.header[len..len + available].copy_from_slice(arrived);
            self.header_len += available as u8;
        }
    }

    /// A control frame or an unfragmented message that lies whole in the input.
    #[inline]
    fn whole_frame(
        &mut self,
        header: &Header,
        payload: &mut [u8],
        sink: &mut impl FnMut(Event<'_>),
    ) -> Result<(), Violation> {
        if let Some(key) = header.mask {
            let _ = apply_mask(payload, key);
        }
        match header.opcode {
            Opcode::Text => {
                if simdutf8::basic::from_utf8(payload).is_err() {
                    return Err(Violation::InvalidUtf8);
                }
                sink(Event::Text(payload));
            }
            Opcode::Binary => sink(Event::Binary(payload)),
            control => self.finished = deliver_control(control, payload, sink)?,
        }
        Ok(())
    }

    /// The next piece of the frame that `partial` is in; returns what follows it.
    fn continue_frame<'a>(
        &mut self,
        rest: &'a mut [u8],
        sink: &mut impl FnMut(Event<'_>),
    ) -> Result<&'a mut [u8], Violation> {
        let partial = self.partial.as_mut().expect("in a frame");
        let (piece, later) = rest.split_at_mut(partial.wanted(rest.len()));
        match partial.take(piece)? {
            Completed::Nothing => {}
            Completed::Control(opcode) => {
                self.finished = deliver_control(opcode, partial.control(), sink)?;
                if !partial.message_open() {
                    self.partial = None;
                }
            }
            Completed::Message(opcode) => {
                let payload = partial.message_mut();
                sink(if opcode == Opcode::Text { Event::Text(payload) } else { Event::Binary(payload) });
                self.partial = None;
            }
        }
        Ok(later)
    }
}

/// Hands a control frame to the sink; true if it was the last one that matters.
fn deliver_control(
    opcode: Opcode,
    payload: &[u8],
    sink: &mut impl FnMut(Event<'_>),
) -> Result<bool, Violation> {
    match opcode {
        Opcode::Ping => sink(Event::Ping(payload)),
        Opcode::Pong => sink(Event::Pong(payload)),
        Opcode::Close => {
            sink(read_close(payload)?);
            return Ok(true);
        }
        Opcode::Continuation | Opcode::Text | Opcode::Binary => {
            unreachable!("{opcode:?} is no control frame")
        }
    }
    Ok(false)
}
