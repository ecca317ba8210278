//! The opening handshake: what is accepted, what each refusal is, and that neither depends on how the bytes
//! come.

use proptest::prelude::*;
use ringside_websocket::handshake::{
    AnswerError, MAX_HEAD_BYTES, Malformed, Refusal, RequestParser, ResponseParser, accept_key, client_key,
    write_refusal, write_request, write_switching_protocols,
};

/// The request of RFC 6455 §1.2, with `\n` for CRLF.
const GOOD: &str = "GET /chat HTTP/1.1\nHost: server.example.com\nUpgrade: websocket\nConnection: Upgrade\n\
    Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\nOrigin: http://example.com\n\
    Sec-WebSocket-Protocol: chat, superchat\nSec-WebSocket-Version: 13\n\n";

fn crlf(text: &str) -> Vec<u8> {
    text.replace('\n', "\r\n").into_bytes()
}

/// What the parser and then the upgrade say: the key, or the refusal; `None` asks for more.
fn answer(request: &[u8]) -> Result<Option<String>, Refusal> {
    let outcome = feed([request]);
    for piece_len in [1, 5] {
        assert_eq!(feed(request.chunks(piece_len)), outcome, "in pieces of {piece_len}");
    }
    outcome
}

fn feed<'a>(pieces: impl IntoIterator<Item = &'a [u8]>) -> Result<Option<String>, Refusal> {
    let mut parser = RequestParser::new();
    for piece in pieces {
        if let Some((request, consumed)) = parser.receive(piece)? {
            assert!(consumed <= piece.len());
            return request.upgrade().map(|key| Some(key.to_owned()));
        }
    }
    Ok(None)
}

/// The good request with one text replaced.
fn check(from: &str, to: &str, expected: Result<(), Refusal>) {
    assert!(GOOD.contains(from), "{from:?} is not in the request");
    let outcome = answer(&crlf(&GOOD.replacen(from, to, 1)));
    assert_eq!(outcome.map(|key| key.map(|_| ())), expected.map(Some), "{from:?} -> {to:?}");
}

fn refused(from: &str, to: &str, malformed: Malformed) {
    check(from, to, Err(malformed.into()));
}

#[test]
fn accepted() {
    check("GET", "GET", Ok(()));
    check("Upgrade: websocket", "uPGRADE:\t h2c , WebSocket\t ", Ok(()));
    check("Connection: Upgrade", "Connection: keep-alive\nConnection: x, upgrade", Ok(()));
    check("/chat", "http://server.example.com/chat", Ok(()));
    check("/chat", "HTTPS://server.example.com?x", Ok(()));
    check("/chat", "/chat?token=://x", Ok(()));
    check("dGhlIHNhbXBsZSBub25jZQ==", "AQIDBAUGBwgJCgsMDQ4PEC==", Ok(()));
    check("chat, superchat", ",chat ,, superchat,", Ok(()));
    check("Origin", "Content-Length: 0\nOrigin", Ok(()));
    check("Origin", "Cookie: gr\u{fc}\u{df}e\nOrigin", Ok(()));
    check("Origin", "X-Empty:\nOrigin", Ok(()));
    check("server.example.com", "[::1]:8081", Ok(()));
}

#[test]
fn bad_request() {
    use Malformed::*;
    refused("GET /chat HTTP/1.1\n", "GET /chat\n", FirstLine);
    refused("GET ", "GET  ", FirstLine);
    refused("GET ", "GE(T ", FirstLine);
    refused("GET ", "\nGET ", FirstLine);
    refused("HTTP/1.1", "HTTP/1.1 ", FirstLine);
    refused("HTTP/1.1", "HTTQ/1.1", FirstLine);
    refused("HTTP/1.1", "HTTP/1.0", HttpVersion);
    refused("HTTP/1.1", "HTTP/2.0", HttpVersion);
    refused("HTTP/1.1", "HTTP/1.11", HttpVersion);
    refused("/chat", "chat", Target);
    refused("/chat", "*", Target);
    refused("/chat", "/chat#top", Target);
    refused("/chat", "http:///chat", Target);
    refused("/chat", "http://user@host/chat", Target);
    refused("/chat", "ftp://host/chat", Target);
    refused("/chat", "/ch\u{e4}t", FirstLine);
    refused("Host: server.example.com\n", "", Host);
    refused("server.example.com", "", Host);
    refused("server.example.com", "a, b", Host);
    refused("server.example.com", "a/b", Host);
    refused("Origin", "host: server.example.com\nOrigin", DuplicateHeader);
    refused("Origin", "sec-websocket-key: dGhlIHNhbXBsZSBub25jZQ==\nOrigin", DuplicateHeader);
    refused("Origin", "Sec-WebSocket-Version: 13\nOrigin", DuplicateHeader);
    refused("Origin", "Origin: null\nOrigin", DuplicateHeader);
    refused("Origin", "Authorization: a\nAuthorization: b\nOrigin", DuplicateHeader);
    refused("Origin", "Content-Length: 0\nContent-Length: 0\nOrigin", DuplicateHeader);
    refused("Origin", "Content-Length: 1\nOrigin", Body);
    refused("Origin", "Content-Length: -0\nOrigin", Body);
    refused("Origin", "Content-Length:\nOrigin", Body);
    refused("Origin", "Transfer-Encoding: identity\nOrigin", Body);
    refused("http://example.com", "http://ex\u{e4}mple.com", NotAscii);
    refused("Host:", "Host :", HeaderLine);
    refused("Host:", "Host\t:", HeaderLine);
    refused("Origin: ", ": ", HeaderLine);
    refused("Origin: http://example.com", "Origin", HeaderLine);
    refused("Origin", "Ori\u{e4}gin", HeaderLine);
    refused("Connection: Upgrade", "Connection:\n Upgrade", FoldedLine);
    refused("Connection: Upgrade", "Connection:\n\tUpgrade", FoldedLine);
    refused("http://example.com", "http://exa\0mple.com", ControlCharacter);
    refused("http://example.com", "http://exa\x7fmple.com", ControlCharacter);
    refused("http://example.com", "http://exa\rmple.com", BareCarriageReturn);
    refused("Upgrade: websocket\n", "", Upgrade);
    refused("Upgrade: websocket", "Upgrade: websockets", Upgrade);
    refused("Upgrade: websocket", "Upgrade: web socket", Upgrade);
    refused("Connection: Upgrade\n", "", Connection);
    refused("Connection: Upgrade", "Connection: close", Connection);
    refused("Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\n", "", Key);
    refused("dGhlIHNhbXBsZSBub25jZQ==", "", Key);
    refused("dGhlIHNhbXBsZSBub25jZQ==", "dGhlIHNhbXBsZSBub25jZ===", Key);
    refused("dGhlIHNhbXBsZSBub25jZQ==", "dGhlIHNhbXBsZSBub25jZQZZ", Key);
    refused("dGhlIHNhbXBsZSBub25jZQ==", "dGhlIHNhbXBsZSBub25jZQ", Key);
    refused("dGhlIHNhbXBsZSBub25jZQ==", "SGVsbG8sIHdvcmxkIQ==", Key);
    refused("dGhlIHNhbXBsZSBub25jZQ==", "dGhl_HNhbXBsZSBub25jZQ==", Key);
    refused("chat, superchat", "chat, super chat", Protocol);
}

#[test]
fn other_refusals() {
    check("GET", "POST", Err(Refusal::Method));
    check("GET", "get", Err(Refusal::Method));
    check("Sec-WebSocket-Version: 13\n", "", Err(Refusal::Version));
    for version in ["8", "14", "013", "13, 8", ""] {
        check(
            "Sec-WebSocket-Version: 13",
            &format!("Sec-WebSocket-Version: {version}"),
            Err(Refusal::Version),
        );
    }
    let long = format!("Origin: {}\nX", "o".repeat(MAX_HEAD_BYTES));
    check("Origin", &long, Err(Refusal::TooLarge));
    // The version comes before the key, the method before both.
    let request = GOOD.replace("Version: 13", "Version: 8").replace("dGhlIHNhbXBsZSBub25jZQ==", "short");
    assert_eq!(answer(&crlf(&request)), Err(Refusal::Version));
    assert_eq!(answer(&crlf(&request.replace("GET", "PUT"))), Err(Refusal::Method));
    let statuses = [Malformed::Host.into(), Refusal::Method, Refusal::Version, Refusal::TooLarge];
    assert_eq!(statuses.map(Refusal::status), [400, 405, 426, 431]);
    assert!(Refusal::Version.headers().contains(&("Sec-WebSocket-Version", "13")));
}

#[test]
fn a_bare_line_feed_is_refused_at_once() {
    for start in ["GET /chat HTTP/1.1\n", "GET /chat HTTP/1.1\r\nHost: a\n", "\n", "GET\n"] {
        assert_eq!(answer(start.as_bytes()), Err(Malformed::BareLineFeed.into()), "{start:?}");
    }
    assert_eq!(answer(b"\x16\x03\x01\x02\x00"), Err(Malformed::ControlCharacter.into())); // a TLS ClientHello
    assert_eq!(answer(b"GET /chat HTTP/1.1\r\n"), Ok(None));
}

#[test]
fn views_into_the_request() {
    let request = crlf(
        "GET /a%20b?q=1?2 HTTP/1.1\nhost: h\nAUTHORIZATION: Bearer abc\nSec-WebSocket-Protocol: one\nX-A: 1\n\
         sec-websocket-protocol: bearer.a.b-c_d\nSec-WebSocket-Extensions: permessage-deflate; x=\"a, b\"\nx-a: 2\n\n",
    );
    let mut parser = RequestParser::new();
    let (request, _) = parser.receive(&request).expect("well-formed").expect("whole");
    assert_eq!(request.method(), "GET");
    assert_eq!(request.path(), "/a%20b");
    assert_eq!(request.query(), Some("q=1?2"));
    assert_eq!(request.authorization(), Some("Bearer abc"));
    assert_eq!(request.origin(), None);
    assert_eq!(request.protocols().collect::<Vec<_>>(), ["one", "bearer.a.b-c_d"]);
    assert_eq!(request.extensions().collect::<Vec<_>>(), [&b"permessage-deflate; x=\"a, b\""[..]]);
    assert_eq!(request.header("X-a"), Some(&b"1"[..]));
    assert_eq!(request.fields().all("x-A").collect::<Vec<_>>(), [b"1", b"2"]);
    assert_eq!(request.header("x-b"), None);
}

/// Paths and methods are the caller's to judge before the upgrade is: a stranger's plain GET is well-formed.
#[test]
fn any_request_is_parsed_before_it_is_refused() {
    let mut parser = RequestParser::new();
    let bytes = crlf("DELETE /nowhere HTTP/1.1\nHost: h\n\n");
    let (request, _) = parser.receive(&bytes).expect("well-formed").expect("whole");
    assert_eq!((request.path(), request.upgrade()), ("/nowhere", Err(Refusal::Method)));
}

#[test]
fn the_accept_key_of_the_rfc() {
    assert_eq!(&accept_key("dGhlIHNhbXBsZSBub25jZQ=="), b"s3pPLMBiTxaQ9kYGzzhZRbK+xOo=");
    assert_eq!(&client_key(*b"the sample nonce"), b"dGhlIHNhbXBsZSBub25jZQ==");
}

#[test]
fn answers_as_they_are_written() {
    let mut out = Vec::new();
    write_switching_protocols(&mut out, "dGhlIHNhbXBsZSBub25jZQ==", Some("chat"));
    let expected = "HTTP/1.1 101 Switching Protocols\nUpgrade: websocket\nConnection: Upgrade\n\
        Sec-WebSocket-Accept: s3pPLMBiTxaQ9kYGzzhZRbK+xOo=\nSec-WebSocket-Protocol: chat\n\n";
    assert_eq!(String::from_utf8_lossy(&out), expected.replace('\n', "\r\n"));

    let mut out = Vec::new();
    write_refusal(&mut out, 429, &[("Retry-After", "3")], "application/problem+json", b"{}");
    let expected = "HTTP/1.1 429 Too Many Requests\nConnection: close\nContent-Type: application/problem+json\n\
        Content-Length: 2\nRetry-After: 3\n\n{}";
    assert_eq!(String::from_utf8_lossy(&out), expected.replace('\n', "\r\n"));
}

#[test]
#[should_panic(expected = "control character in header Origin")]
fn a_header_is_never_split() {
    write_request(&mut Vec::new(), "h", "/", [0; 16], &[("Origin", "a\r\nX: b")]);
}

#[test]
fn the_clients_checks() {
    const GOOD: &str = "HTTP/1.1 101 Switching Protocols\nUpgrade: websocket\nConnection: Upgrade\n\
        Sec-WebSocket-Accept: s3pPLMBiTxaQ9kYGzzhZRbK+xOo=\n\n";
    let check = |from: &str, to: &str, expected: Result<u16, AnswerError>| {
        assert!(GOOD.contains(from));
        let bytes = crlf(&GOOD.replacen(from, to, 1));
        for piece_len in [1, 11, bytes.len()] {
            let mut parser = ResponseParser::new(*b"the sample nonce");
            let outcome = bytes.chunks(piece_len).find_map(|piece| {
                parser.receive(piece).map(|done| done.map(|(response, _)| response.status())).transpose()
            });
            assert_eq!(outcome, Some(expected), "{from:?} -> {to:?}");
        }
    };
    check("HTTP", "HTTP", Ok(101));
    check("101 Switching Protocols", "101", Ok(101));
    check("101 Switching", "401 Nope", Ok(401));
    check("HTTP/1.1", "HTTP/1.0", Err(Malformed::FirstLine.into()));
    check("101", "1x1", Err(Malformed::FirstLine.into()));
    check("101", "1010", Err(Malformed::FirstLine.into()));
    check("s3pP", "s3pQ", Err(AnswerError::Accept));
    check("Sec-WebSocket-Accept", "X", Err(AnswerError::Accept));
    check("Upgrade: websocket", "X: y", Err(Malformed::Upgrade.into()));
    check("Connection: Upgrade", "X: y", Err(Malformed::Connection.into()));
    check("\n\n", "\nSec-WebSocket-Extensions: permessage-deflate\n\n", Err(AnswerError::Extension));
}

proptest! {
    #[test]
    fn any_cut_of_a_damaged_request_gives_one_answer(
        damage in proptest::collection::vec((any::<prop::sample::Index>(), any::<u8>()), 0..3),
        cuts in proptest::collection::vec(0..80_usize, 0..6),
        tail in proptest::collection::vec(any::<u8>(), 0..10),
    ) {
        let mut bytes = crlf(GOOD);
        for (index, byte) in damage {
            let at = index.index(bytes.len());
            bytes[at] = byte;
        }
        bytes.extend(tail);
        let mut pieces = Vec::new();
        let mut rest = &bytes[..];
        for cut in cuts {
            let (piece, later) = rest.split_at(cut.min(rest.len()));
            pieces.push(piece);
            rest = later;
        }
        pieces.push(rest);
        prop_assert_eq!(feed(pieces), feed([&bytes[..]]));
    }
}
