//! Any bytes as a request and as an answer: no panic, and one outcome however they are cut.
#![no_main]

use libfuzzer_sys::fuzz_target;
use ringside_websocket::handshake::{
    MAX_HEAD_BYTES, Refusal, RequestParser, ResponseParser, write_switching_protocols,
};

/// What the server makes of it, and where the frames begin.
fn request<'a>(pieces: impl Iterator<Item = &'a [u8]>) -> Result<Option<(usize, String)>, Refusal> {
    let mut parser = RequestParser::new();
    let mut before = 0;
    for piece in pieces {
        if let Some((request, consumed)) = parser.receive(piece)? {
            assert!(request.path().starts_with('/'));
            let protocols: Vec<&str> = request.protocols().collect();
            assert!(protocols.iter().all(|protocol| !protocol.is_empty()));
            let outcome = format!("{request:?} {:?}", request.upgrade());
            if let Ok(key) = request.upgrade() {
                let mut answer = Vec::new();
                write_switching_protocols(&mut answer, key, protocols.first().copied());
            }
            return Ok(Some((before + consumed, outcome)));
        }
        before += piece.len();
        assert!(parser.buffered_bytes() <= before.min(MAX_HEAD_BYTES));
    }
    Ok(None)
}

fn response<'a>(pieces: impl Iterator<Item = &'a [u8]>) -> String {
    let mut parser = ResponseParser::new(*b"the sample nonce");
    for piece in pieces {
        match parser.receive(piece) {
            Ok(None) => {}
            Ok(Some((response, _))) => return format!("{response:?} {:?}", response.protocol()),
            Err(error) => return format!("{error:?}"),
        }
    }
    String::new()
}

fuzz_target!(|input: &[u8]| {
    let Some((&piece_len, bytes)) = input.split_first() else { return };
    let piece_len = usize::from(piece_len).max(1);
    let whole = request(std::iter::once(bytes));
    assert_eq!(request(bytes.chunks(piece_len)), whole);
    assert_eq!(response(bytes.chunks(piece_len)), response(std::iter::once(bytes)));
    if let Ok(Some((consumed, _))) = whole {
        assert!(bytes[..consumed].ends_with(b"\r\n\r\n"));
        // The first blank line is the end, so that nothing can hide a second request from another reader.
        assert_eq!(bytes.windows(4).position(|window| window == b"\r\n\r\n"), Some(consumed - 4));
    }
});
