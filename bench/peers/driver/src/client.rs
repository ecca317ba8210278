//! One connection, and what is said on it. Written here, not taken from the product: the driver must not owe its figures to it.

use std::io::{Read as _, Write as _};
use std::net::{SocketAddr, TcpStream};

use crate::Outcome;

/// Bytes of an answer to a handshake at the most.
const HANDSHAKE_BYTES_MAX: usize = 4_096;
/// Messages above need a longer header than this driver writes.
const MESSAGE_BYTES_MAX: usize = u16::MAX as usize;
/// A mask; servers unmask with any other alike.
const MASK: [u8; 4] = [0x37, 0xfa, 0x21, 0x3d];

const REQUEST: &[u8] = b"GET / HTTP/1.1\r\nHost: 127.0.0.1\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n\
    Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\nSec-WebSocket-Version: 13\r\n\r\n";

/// What is sent, and what must come back.
pub struct Dialect {
    is_raw: bool,
    /// The bytes of a message on their way there.
    pub sent: Vec<u8>,
    /// The bytes of its echo.
    pub expected: Vec<u8>,
}

impl Dialect {
    /// Messages of so many bytes, plain or in frames.
    pub fn new(is_raw: bool, bytes: usize) -> Self {
        assert!(bytes <= MESSAGE_BYTES_MAX, "messages of up to {MESSAGE_BYTES_MAX} bytes");
        let payload: Vec<u8> = (0..bytes).map(|index| b'a' + (index % 26) as u8).collect();
        if is_raw {
            return Self { is_raw, sent: payload.clone(), expected: payload };
        }
        let masked = payload.iter().zip(MASK.iter().cycle()).map(|(byte, mask)| byte ^ mask);
        let sent = header(bytes, 0x80).into_iter().chain(MASK).chain(masked).collect();
        let expected = header(bytes, 0).into_iter().chain(payload).collect();
        Self { is_raw, sent, expected }
    }

    /// Connects, and shakes hands where the dialect has it.
    pub fn connect(&self, address: SocketAddr) -> Outcome<TcpStream> {
        let mut stream = TcpStream::connect(address)?;
        stream.set_nodelay(true)?;
        if !self.is_raw {
            shake_hands(&mut stream)?;
        }
        Ok(stream)
    }

    /// One message there and back, blocking.
    pub fn echo_once(&self, stream: &mut TcpStream) -> Outcome<()> {
        stream.write_all(&self.sent)?;
        let mut echo = vec![0; self.expected.len()];
        stream.read_exact(&mut echo)?;
        if echo == self.expected { Ok(()) } else { Err("the echo is another".into()) }
    }
}

/// The header of a text frame, without the mask.
fn header(bytes: usize, mask_bit: u8) -> Vec<u8> {
    match u8::try_from(bytes) {
        Ok(short @ ..126) => vec![0x81, mask_bit | short],
        _ => {
            let [high, low] = (bytes as u16).to_be_bytes();
            vec![0x81, mask_bit | 126, high, low]
        }
    }
}

fn shake_hands(stream: &mut TcpStream) -> Outcome<()> {
    stream.write_all(REQUEST)?;
    let (mut answer, mut some) = (Vec::new(), [0; HANDSHAKE_BYTES_MAX]);
    while !answer.ends_with(b"\r\n\r\n") {
        let count = stream.read(&mut some)?;
        answer.extend_from_slice(&some[..count]);
        if count == 0 || answer.len() > HANDSHAKE_BYTES_MAX {
            return Err("the handshake has no end".into());
        }
    }
    if answer.starts_with(b"HTTP/1.1 101") { Ok(()) } else { Err("the handshake was refused".into()) }
}
