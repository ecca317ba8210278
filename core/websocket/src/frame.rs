//! Frame headers (RFC 6455 §5.2): the checked decoder and the encoder.

use crate::mask::apply_mask;
use crate::violation::Violation;

/// The largest header: two bytes, a 64-bit length, a mask key.
pub const MAX_HEADER_BYTES: usize = 14;
/// The largest payload of a ping, pong or close (§5.5).
pub const MAX_CONTROL_BYTES: usize = 125;

const FIN: u8 = 0x80;
const RESERVED_BITS: u8 = 0x70;
const OPCODE: u8 = 0x0f;
const MASKED: u8 = 0x80;
/// Values of the seven-bit length that announce a longer one.
const LENGTH_16: u8 = 126;
const LENGTH_64: u8 = 127;
/// The bit that makes an opcode a control frame's.
const CONTROL: u8 = 0x08;

/// What a frame is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[repr(u8)]
pub enum Opcode {
    /// A further fragment of the message begun before.
    Continuation = 0x0,
    /// A text message, or its first fragment.
    Text = 0x1,
    /// A binary message, or its first fragment.
    Binary = 0x2,
    /// The closing handshake.
    Close = 0x8,
    /// A ping; the peer answers with a pong of the same payload.
    Ping = 0x9,
    /// The answer to a ping, or an unasked sign of life.
    Pong = 0xa,
}

impl Opcode {
    fn from_bits(bits: u8) -> Option<Self> {
        Some(match bits {
            0x0 => Self::Continuation,
            0x1 => Self::Text,
            0x2 => Self::Binary,
            0x8 => Self::Close,
            0x9 => Self::Ping,
            0xa => Self::Pong,
            _ => return None,
        })
    }

    pub(crate) fn is_control(self) -> bool {
        self as u8 & CONTROL != 0
    }
}

/// What the connection's state allows the next frame to be.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Expected {
    /// The peer is a client.
    pub(crate) masked: bool,
    /// A fragmented message is open.
    pub(crate) message_open: bool,
    /// How many bytes the message (open or new) may still get.
    pub(crate) message_room: u32,
}

/// A header that was found right in its place.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Header {
    pub(crate) fin: bool,
    pub(crate) opcode: Opcode,
    pub(crate) payload_len: u32,
    pub(crate) mask: Option<[u8; 4]>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Decoded {
    /// All that is there is right; the header is at least this long.
    Incomplete { needed: usize },
    /// A header and its length.
    Complete(Header, usize),
}

impl Header {
    /// Reads the header at the start of `bytes`. Every part is checked as soon as it is there, always in the
    /// same order, so that a violation doesn't depend on how the bytes were cut and is found before anything
    /// is buffered.
    #[inline]
    pub(crate) fn decode(bytes: &[u8], expected: Expected) -> Result<Decoded, Violation> {
        let Some(&first) = bytes.first() else { return Ok(Decoded::Incomplete { needed: 2 }) };
        let fin = first & FIN != 0;
        let opcode = check_first(first, fin, expected)?;
        let Some(&second) = bytes.get(1) else { return Ok(Decoded::Incomplete { needed: 2 }) };
        let short_len = second & !MASKED;
        check_second(second, opcode, expected)?;

        let (payload_len, length_end) = match short_len {
            LENGTH_16 => match bytes[2..].first_chunk() {
                Some(length) => (u64::from(u16::from_be_bytes(*length)), 4),
                None => return Ok(Decoded::Incomplete { needed: 4 }),
            },
            LENGTH_64 => match bytes[2..].first_chunk() {
                Some(length) => (u64::from_be_bytes(*length), 10),
                None => return Ok(Decoded::Incomplete { needed: 10 }),
            },
            _ => (u64::from(short_len), 2),
        };
        let payload_len = check_length(payload_len, short_len, opcode, expected)?;

        if !expected.masked {
            return Ok(Decoded::Complete(Self { fin, opcode, payload_len, mask: None }, length_end));
        }
        match bytes[length_end..].first_chunk() {
            Some(key) => {
                Ok(Decoded::Complete(Self { fin, opcode, payload_len, mask: Some(*key) }, length_end + 4))
            }
            None => Ok(Decoded::Incomplete { needed: length_end + 4 }),
        }
    }
}

#[inline]
fn check_first(first: u8, fin: bool, expected: Expected) -> Result<Opcode, Violation> {
    if first & RESERVED_BITS != 0 {
        return Err(Violation::ReservedBits);
    }
    let opcode = Opcode::from_bits(first & OPCODE).ok_or(Violation::ReservedOpcode)?;
    match opcode {
        Opcode::Continuation if !expected.message_open => Err(Violation::UnexpectedContinuation),
        Opcode::Text | Opcode::Binary if expected.message_open => Err(Violation::InterleavedMessage),
        Opcode::Close | Opcode::Ping | Opcode::Pong if !fin => Err(Violation::FragmentedControl),
        opcode => Ok(opcode),
    }
}

#[inline]
fn check_second(second: u8, opcode: Opcode, expected: Expected) -> Result<(), Violation> {
    match (second & MASKED != 0, expected.masked) {
        (false, true) => return Err(Violation::Unmasked),
        (true, false) => return Err(Violation::Masked),
        _ => {}
    }
    if opcode.is_control() && usize::from(second & !MASKED) > MAX_CONTROL_BYTES {
        return Err(Violation::OversizedControl);
    }
    Ok(())
}

#[inline]
fn check_length(
    payload_len: u64,
    short_len: u8,
    opcode: Opcode,
    expected: Expected,
) -> Result<u32, Violation> {
    let minimum = match short_len {
        LENGTH_16 => u64::from(LENGTH_16),
        LENGTH_64 => u64::from(u16::MAX) + 1,
        _ => 0,
    };
    if payload_len < minimum {
        return Err(Violation::NonMinimalLength);
    }
    if payload_len > i64::MAX as u64 {
        return Err(Violation::LengthOverflow);
    }
    if !opcode.is_control() && payload_len > u64::from(expected.message_room) {
        return Err(Violation::MessageTooLarge);
    }
    Ok(u32::try_from(payload_len).expect("a message's room and a control frame are below u32::MAX"))
}

/// An encoded header; dereferences to its bytes.
#[derive(Clone, Copy, Debug)]
pub struct FrameHeader {
    bytes: [u8; MAX_HEADER_BYTES],
    len: u8,
}

impl std::ops::Deref for FrameHeader {
    type Target = [u8];

    fn deref(&self) -> &[u8] {
        &self.bytes[..usize::from(self.len)]
    }
}

/// Encodes the header of a frame with `payload_len` bytes. With a `mask` the caller masks the payload, see
/// [`crate::apply_mask`]. A message is one frame with `fin`, or a first frame, any [`Opcode::Continuation`]s,
/// and a last one with `fin`.
#[must_use]
pub fn frame_header(fin: bool, opcode: Opcode, payload_len: usize, mask: Option<[u8; 4]>) -> FrameHeader {
    let mut bytes = [0; MAX_HEADER_BYTES];
    bytes[0] = opcode as u8 | if fin { FIN } else { 0 };
    let mut len = 2;
    if payload_len < usize::from(LENGTH_16) {
        bytes[1] = payload_len as u8;
    } else if let Ok(length) = u16::try_from(payload_len) {
        bytes[1] = LENGTH_16;
        bytes[2..4].copy_from_slice(&length.to_be_bytes());
        len = 4;
    } else {
        bytes[1] = LENGTH_64;
        bytes[2..10].copy_from_slice(&(payload_len as u64).to_be_bytes());
        len = 10;
    }
    if let Some(key) = mask {
        bytes[1] |= MASKED;
        bytes[len..len + 4].copy_from_slice(&key);
        len += 4;
    }
    FrameHeader { bytes, len: len as u8 }
}

/// Appends a whole frame to `out`; allocates only what `out` has to grow. A client passes a `mask` that the
/// peer can't foresee, a server `None`.
///
/// # Panics
/// If a control frame gets more than [`MAX_CONTROL_BYTES`]: the caller's mistake.
pub fn write_frame(out: &mut Vec<u8>, opcode: Opcode, payload: &[u8], mask: Option<[u8; 4]>) {
    assert!(!opcode.is_control() || payload.len() <= MAX_CONTROL_BYTES, "control frame over 125 bytes");
    let header = frame_header(true, opcode, payload.len(), mask);
    out.reserve(header.len() + payload.len());
    out.extend_from_slice(&header);
    let start = out.len();
    out.extend_from_slice(payload);
    if let Some(key) = mask {
        let _ = apply_mask(&mut out[start..], key);
    }
}
