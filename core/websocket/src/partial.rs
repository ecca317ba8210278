//! What of a message has arrived, while the rest of it has not.

use crate::frame::{Header, MAX_CONTROL_BYTES, Opcode};
use crate::mask::apply_mask;
use crate::utf8::Utf8Stream;
use crate::violation::Violation;

/// The state that a connection has only between the first and the last byte of something that one input did
/// not hold whole. Its memory grows with the bytes that arrived, never with what was announced, and not at
/// all with the number of fragments.
#[derive(Debug, Default)]
pub(crate) struct Partial {
    message: Vec<u8>,
    /// [`Opcode::Text`] or [`Opcode::Binary`] while a message is open.
    message_opcode: Option<Opcode>,
    utf8: Utf8Stream,
    frame: Option<Frame>,
    control: Control,
}

/// The frame whose payload is arriving.
#[derive(Clone, Copy, Debug)]
struct Frame {
    fin: bool,
    opcode: Opcode,
    remaining: u32,
    /// Rotated to the next byte.
    mask: Option<[u8; 4]>,
}

/// The payload of a control frame that was cut; it may come in the middle of a message.
#[derive(Debug)]
struct Control {
    bytes: [u8; MAX_CONTROL_BYTES],
    len: u8,
}

impl Default for Control {
    fn default() -> Self {
        Self { bytes: [0; MAX_CONTROL_BYTES], len: 0 }
    }
}

/// What a piece of payload completed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Completed {
    /// Nothing, or a fragment that others follow.
    Nothing,
    /// The message, of this opcode.
    Message(Opcode),
    /// The control frame, of this opcode.
    Control(Opcode),
}

impl Partial {
    pub(crate) fn message_open(&self) -> bool {
        self.message_opcode.is_some()
    }

    pub(crate) fn message_len(&self) -> usize {
        self.message.len()
    }

    pub(crate) fn message_mut(&mut self) -> &mut [u8] {
        &mut self.message
    }

    pub(crate) fn control(&self) -> &[u8] {
        &self.control.bytes[..usize::from(self.control.len)]
    }

    pub(crate) fn in_frame(&self) -> bool {
        self.frame.is_some()
    }

    pub(crate) fn capacity(&self) -> usize {
        self.message.capacity()
    }

    /// Begins a frame; its payload comes through [`Partial::take`].
    pub(crate) fn begin(&mut self, header: &Header) {
        debug_assert!(self.frame.is_none());
        match header.opcode {
            Opcode::Text | Opcode::Binary => self.message_opcode = Some(header.opcode),
            Opcode::Continuation => debug_assert!(self.message_open()),
            Opcode::Close | Opcode::Ping | Opcode::Pong => self.control.len = 0,
        }
        self.frame = Some(Frame {
            fin: header.fin,
            opcode: header.opcode,
            remaining: header.payload_len,
            mask: header.mask,
        });
    }

    /// How much of the current frame is in an input of `available` bytes.
    pub(crate) fn wanted(&self, available: usize) -> usize {
        self.frame.map_or(0, |frame| available.min(frame.remaining as usize))
    }

    /// Takes the next piece of the current frame's payload, of [`Partial::wanted`] bytes.
    pub(crate) fn take(&mut self, piece: &mut [u8]) -> Result<Completed, Violation> {
        let frame = self.frame.as_mut().expect("begin was called");
        frame.mask = frame.mask.map(|key| apply_mask(piece, key));
        frame.remaining -= piece.len() as u32;
        let Frame { fin, opcode, remaining, .. } = *frame;
        if remaining == 0 {
            self.frame = None;
        }
        if opcode.is_control() {
            let start = usize::from(self.control.len);
            self.control.bytes[start..start + piece.len()].copy_from_slice(piece);
            self.control.len += piece.len() as u8;
            return Ok(if remaining == 0 { Completed::Control(opcode) } else { Completed::Nothing });
        }

        let message_opcode = self.message_opcode.expect("a data frame is part of an open message");
        if message_opcode == Opcode::Text {
            self.utf8.push(piece)?;
        }
        self.append(piece, if fin { Some(remaining as usize) } else { None });
        if remaining > 0 || !fin {
            return Ok(Completed::Nothing);
        }
        self.utf8.finish()?;
        self.message_opcode = None;
        Ok(Completed::Message(message_opcode))
    }

    /// Grows by doubling what is held, so that the cost per byte is constant; where the message's end is
    /// known, not beyond it.
    fn append(&mut self, piece: &[u8], following: Option<usize>) {
        let needed = self.message.len() + piece.len();
        if needed > self.message.capacity() {
            let doubled = needed.max(self.message.capacity() * 2);
            let target = following.map_or(doubled, |following| doubled.min(needed + following));
            self.message.reserve_exact(target - self.message.len());
        }
        self.message.extend_from_slice(piece);
    }
}
