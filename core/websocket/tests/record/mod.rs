//! Events that outlive their input, and ways to feed a connection.
#![allow(dead_code, reason = "each test file uses its part")]

use ringside_websocket::{Connection, Event, Limits, Opcode, Role, Violation, apply_mask, frame_header};

#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Recorded {
    Text(Vec<u8>),
    Binary(Vec<u8>),
    Ping(Vec<u8>),
    Pong(Vec<u8>),
    Close(Option<u16>, String),
}

impl From<Event<'_>> for Recorded {
    fn from(event: Event<'_>) -> Self {
        match event {
            Event::Text(payload) => Self::Text(payload.to_vec()),
            Event::Binary(payload) => Self::Binary(payload.to_vec()),
            Event::Ping(payload) => Self::Ping(payload.to_vec()),
            Event::Pong(payload) => Self::Pong(payload.to_vec()),
            Event::Close { code, reason } => Self::Close(code, reason.to_owned()),
        }
    }
}

pub type Outcome = (Vec<Recorded>, Result<(), Violation>);

/// Feeds `pieces` until the first violation.
pub fn receive<'a>(role: Role, max_message_bytes: u32, pieces: impl Iterator<Item = &'a [u8]>) -> Outcome {
    let mut connection = Connection::new(role, Limits { max_message_bytes });
    let mut events = Vec::new();
    for piece in pieces {
        let mut piece = piece.to_vec();
        if let Err(violation) = connection.receive(&mut piece, &mut |event| events.push(event.into())) {
            assert!(connection.is_finished());
            return (events, Err(violation));
        }
    }
    (events, Ok(()))
}

/// One frame, masked with a fixed key when a client sends it.
pub fn frame(sender: Role, fin: bool, opcode: Opcode, payload: &[u8]) -> Vec<u8> {
    let key = [0x37, 0xfa, 0x21, 0x3d];
    let mask = (sender == Role::Client).then_some(key);
    let mut bytes = frame_header(fin, opcode, payload.len(), mask).to_vec();
    let start = bytes.len();
    bytes.extend_from_slice(payload);
    if mask.is_some() {
        let _ = apply_mask(&mut bytes[start..], key);
    }
    bytes
}
