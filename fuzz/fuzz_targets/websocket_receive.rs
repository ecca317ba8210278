//! Any input, in any pieces: the machine never panics, and the cut means nothing.
#![no_main]

use libfuzzer_sys::arbitrary::{self, Arbitrary};
use libfuzzer_sys::fuzz_target;
use ringside_websocket::{Connection, Event, Limits, Role, Violation, is_valid_close_code};

/// Small, so that the limit is met.
const MAX_MESSAGE_BYTES: u32 = 300;
/// The fixed part of the buffer of an unfinished message.
const PARTIAL_BYTES: usize = 256;

#[derive(Arbitrary, Debug)]
struct Input {
    server: bool,
    /// Lengths of the pieces, over and over.
    cuts: Vec<u8>,
    bytes: Vec<u8>,
}

#[derive(Debug, PartialEq, Eq)]
enum Recorded {
    Text(Vec<u8>),
    Binary(Vec<u8>),
    Ping(Vec<u8>),
    Pong(Vec<u8>),
    Close(Option<u16>, String),
}

fn record(event: Event<'_>) -> Recorded {
    match event {
        Event::Text(payload) => {
            assert!(payload.len() <= MAX_MESSAGE_BYTES as usize);
            assert!(std::str::from_utf8(payload).is_ok());
            // The sink may write into what it is lent.
            let text = payload.to_vec();
            payload.fill(0xff);
            Recorded::Text(text)
        }
        Event::Binary(payload) => {
            assert!(payload.len() <= MAX_MESSAGE_BYTES as usize);
            Recorded::Binary(payload.to_vec())
        }
        Event::Ping(payload) => {
            assert!(payload.len() <= 125);
            Recorded::Ping(payload.to_vec())
        }
        Event::Pong(payload) => {
            assert!(payload.len() <= 125);
            Recorded::Pong(payload.to_vec())
        }
        Event::Close { code, reason } => {
            assert!(code.is_none_or(is_valid_close_code) && reason.len() <= 123);
            Recorded::Close(code, reason.to_owned())
        }
    }
}

fn receive<'a>(role: Role, pieces: impl Iterator<Item = &'a [u8]>) -> (Vec<Recorded>, Result<(), Violation>) {
    let mut connection = Connection::new(role, Limits { max_message_bytes: MAX_MESSAGE_BYTES });
    let mut events = Vec::new();
    let mut arrived = 0;
    for piece in pieces {
        arrived += piece.len();
        let mut piece = piece.to_vec();
        let closed_before = connection.is_finished();
        let count_before = events.len();
        let outcome = connection.receive(&mut piece, &mut |event| events.push(record(event)));
        assert!(connection.buffered_bytes() <= PARTIAL_BYTES + 2 * arrived.min(MAX_MESSAGE_BYTES as usize));
        if connection.is_finished() {
            assert_eq!(connection.buffered_bytes(), 0);
        }
        if closed_before {
            assert!(outcome.is_ok() && events.len() == count_before);
        }
        if outcome.is_err() {
            return (events, outcome);
        }
    }
    (events, Ok(()))
}

fuzz_target!(|input: Input| {
    let role = if input.server { Role::Server } else { Role::Client };
    let whole = receive(role, std::iter::once(&input.bytes[..]));
    let mut rest = &input.bytes[..];
    let mut pieces = Vec::new();
    for cut in input.cuts.iter().cycle().take(input.cuts.len() * 64) {
        let (piece, later) = rest.split_at(usize::from(*cut).min(rest.len()));
        pieces.push(piece);
        rest = later;
    }
    pieces.push(rest);
    assert_eq!(receive(role, pieces.into_iter()), whole);
});
