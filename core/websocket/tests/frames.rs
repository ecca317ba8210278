//! What a frame may be: RFC 6455 §5, §7, §8 as tables.

mod record;

use record::{Outcome, Recorded, frame, receive};
use ringside_websocket::{Connection, Limits, Opcode, Role, Violation};

const LIMIT: u32 = 1000;

/// Whole, at every cut, and byte by byte: the same events, the same end.
fn check(receiver: Role, bytes: &[u8], events: Vec<Recorded>, end: Result<(), Violation>) {
    let expected: Outcome = (events, end);
    assert_eq!(receive(receiver, LIMIT, std::iter::once(bytes)), expected, "whole: {bytes:02x?}");
    assert_eq!(receive(receiver, LIMIT, bytes.chunks(1)), expected, "byte by byte: {bytes:02x?}");
    if bytes.len() <= 2 * LIMIT as usize {
        for cut in 0..bytes.len() {
            let (first, second) = bytes.split_at(cut);
            let outcome = receive(receiver, LIMIT, [first, second].into_iter());
            assert_eq!(outcome, expected, "cut at {cut}: {bytes:02x?}");
        }
    }
}

/// Frames of a client, to a server; and the same frames of a server, to a client.
fn check_both(frames: &[(bool, Opcode, &[u8])], events: &[Recorded], end: Result<(), Violation>) {
    for (sender, receiver) in [(Role::Client, Role::Server), (Role::Server, Role::Client)] {
        let bytes: Vec<u8> =
            frames.iter().flat_map(|(fin, opcode, payload)| frame(sender, *fin, *opcode, payload)).collect();
        check(receiver, &bytes, events.to_vec(), end);
    }
}

fn text(text: &str) -> Recorded {
    Recorded::Text(text.as_bytes().to_vec())
}

#[test]
fn examples_of_the_rfc() {
    use Role::{Client, Server};
    check(Client, b"\x81\x05Hello", vec![text("Hello")], Ok(()));
    check(Server, b"\x81\x85\x37\xfa\x21\x3d\x7f\x9f\x4d\x51\x58", vec![text("Hello")], Ok(()));
    check(Client, b"\x01\x03Hel\x80\x02lo", vec![text("Hello")], Ok(()));
    check(Client, b"\x89\x05Hello", vec![Recorded::Ping(b"Hello".to_vec())], Ok(()));
    check(
        Server,
        b"\x8a\x85\x37\xfa\x21\x3d\x7f\x9f\x4d\x51\x58",
        vec![Recorded::Pong(b"Hello".to_vec())],
        Ok(()),
    );
}

#[test]
fn lengths_at_the_edges_of_their_encodings() {
    for len in [0, 1, 7, 8, 9, 125, 126, 127, 128, LIMIT as usize] {
        let payload = vec![b'*'; len];
        check_both(&[(true, Opcode::Binary, &payload)], &[Recorded::Binary(payload.clone())], Ok(()));
    }
    for len in [65_535_u32, 65_536] {
        let payload = vec![b'*'; len as usize];
        let bytes = frame(Role::Client, true, Opcode::Text, &payload);
        let outcome = receive(Role::Server, len, bytes.chunks(999));
        assert_eq!(outcome, (vec![Recorded::Text(payload)], Ok(())));
    }
}

#[test]
fn headers_refused() {
    use Role::{Client, Server};
    use Violation::*;
    let refused = |receiver, bytes: &[u8], violation| check(receiver, bytes, vec![], Err(violation));
    for bits in [0x10, 0x20, 0x40, 0x70] {
        refused(Client, &[0x81 | bits, 0], ReservedBits);
    }
    for opcode in [3, 4, 5, 6, 7, 0xb, 0xc, 0xd, 0xe, 0xf] {
        refused(Client, &[0x80 | opcode, 0], ReservedOpcode);
    }
    for opcode in [8, 9, 0xa] {
        refused(Client, &[opcode, 0], FragmentedControl);
        refused(Client, &[0x80 | opcode, 126, 0, 126], OversizedControl);
        refused(Server, &[0x80 | opcode, 0xfe, 0, 126], OversizedControl);
    }
    refused(Client, b"\x80\x00", UnexpectedContinuation);
    refused(Client, b"\x00\x00", UnexpectedContinuation);
    refused(Server, b"\x81\x05Hello", Unmasked);
    refused(Client, b"\x81\x85\x37\xfa\x21\x3d\x7f\x9f\x4d\x51\x58", Masked);
    refused(Client, b"\x82\x7e\x00\x7d", NonMinimalLength);
    refused(Client, b"\x82\x7f\x00\x00\x00\x00\x00\x00\xff\xff", NonMinimalLength);
    refused(Client, b"\x82\x7f\x80\x00\x00\x00\x00\x00\x00\x00", LengthOverflow);
}

#[test]
fn size_is_refused_when_announced() {
    let announced = |bytes: &[u8]| check(Role::Client, bytes, vec![], Err(Violation::MessageTooLarge));
    announced(b"\x82\x7e\x03\xe9");
    announced(b"\x82\x7f\x00\x00\x01\x00\x00\x00\x00\x00"); // 1 TiB
    announced(b"\x02\x7f\x00\x00\x01\x00\x00\x00\x00\x00");
    announced(b"\x82\x7f\x7f\xff\xff\xff\xff\xff\xff\xff");
    // A masked one too, before its key.
    check(Role::Server, b"\x82\xff\x00\x00\x01\x00\x00\x00\x00\x00", vec![], Err(Violation::MessageTooLarge));
    // Fragments count together.
    let half = [b'x'; 500];
    let one: &[u8] = b"x";
    let whole = [b'x'; 1000];
    check_both(
        &[
            (false, Opcode::Text, &half),
            (false, Opcode::Continuation, &half),
            (true, Opcode::Continuation, b""),
        ],
        &[Recorded::Text(whole.to_vec())],
        Ok(()),
    );
    check_both(
        &[
            (false, Opcode::Text, &half),
            (false, Opcode::Continuation, &half),
            (true, Opcode::Continuation, one),
        ],
        &[],
        Err(Violation::MessageTooLarge),
    );
    // And start anew with each message.
    check_both(
        &[(true, Opcode::Text, &whole), (true, Opcode::Text, &whole)],
        &[Recorded::Text(whole.to_vec()), Recorded::Text(whole.to_vec())],
        Ok(()),
    );
}

#[test]
fn fragments_with_control_frames_between() {
    check_both(
        &[
            (false, Opcode::Text, b"frag"),
            (true, Opcode::Ping, b"?"),
            (false, Opcode::Continuation, b""),
            (true, Opcode::Pong, b""),
            (true, Opcode::Continuation, b"ment"),
            (true, Opcode::Binary, b"\xff"),
        ],
        &[
            Recorded::Ping(b"?".to_vec()),
            Recorded::Pong(vec![]),
            text("fragment"),
            Recorded::Binary(vec![0xff]),
        ],
        Ok(()),
    );
    check_both(&[(false, Opcode::Text, b""), (true, Opcode::Continuation, b"")], &[text("")], Ok(()));
}

#[test]
fn what_came_before_a_violation_is_delivered() {
    check_both(
        &[(true, Opcode::Text, b"first"), (true, Opcode::Ping, b"!"), (true, Opcode::Continuation, b"x")],
        &[text("first"), Recorded::Ping(b"!".to_vec())],
        Err(Violation::UnexpectedContinuation),
    );
    check_both(
        &[(false, Opcode::Text, b"open"), (true, Opcode::Ping, b"!"), (true, Opcode::Text, b"x")],
        &[Recorded::Ping(b"!".to_vec())],
        Err(Violation::InterleavedMessage),
    );
}

#[test]
fn text_must_be_utf8() {
    let bad = Err(Violation::InvalidUtf8);
    check_both(&[(true, Opcode::Text, "κόσμε\u{10ffff}".as_bytes())], &[text("κόσμε\u{10ffff}")], Ok(()));
    check_both(&[(true, Opcode::Text, b"\xed\xa0\x80")], &[], bad);
    check_both(&[(true, Opcode::Text, b"cut \xce")], &[], bad);
    check_both(
        &[(false, Opcode::Text, b"\xce"), (true, Opcode::Continuation, b"\xba")],
        &[text("κ")],
        Ok(()),
    );
    check_both(&[(false, Opcode::Text, b"\xce"), (true, Opcode::Continuation, b"")], &[], bad);
    // Refused with the fragment, not at the end of the message.
    check_both(&[(false, Opcode::Text, b"\xff"), (true, Opcode::Ping, b"")], &[], bad);
    check_both(&[(true, Opcode::Binary, b"\xff")], &[Recorded::Binary(vec![0xff])], Ok(()));
}

#[test]
fn bad_utf8_is_refused_inside_an_unfinished_frame() {
    // Autobahn 6.4.3: κόσμε, then a surrogate that ends what is sent so far.
    let payload = b"\xce\xba\xe1\xbd\xb9\xcf\x83\xce\xbc\xce\xb5\xf4\x90\x80\x80edited";
    let bytes = frame(Role::Client, true, Opcode::Text, payload);
    let bad_byte = bytes.len() - payload.len() + 12;
    let (events, end) = receive(Role::Server, LIMIT, bytes[..bad_byte].chunks(5));
    assert_eq!((events, end), (vec![], Ok(())));
    let (events, end) = receive(Role::Server, LIMIT, bytes[..=bad_byte].chunks(5));
    assert_eq!((events, end), (vec![], Err(Violation::InvalidUtf8)));
}

#[test]
fn closing() {
    let close = |payload: &[u8], events: &[Recorded], end| {
        // What follows a close is never looked at.
        check_both(&[(true, Opcode::Close, payload), (true, Opcode::Text, b"late")], events, end);
    };
    close(b"", &[Recorded::Close(None, String::new())], Ok(()));
    close(b"\x03\xe8", &[Recorded::Close(Some(1000), String::new())], Ok(()));
    close(b"\x0f\xa3bye", &[Recorded::Close(Some(4003), "bye".into())], Ok(()));
    let longest = [&b"\x03\xe8"[..], &[b'r'; 123]].concat();
    close(&longest, &[Recorded::Close(Some(1000), "r".repeat(123))], Ok(()));
    close(b"\x03", &[], Err(Violation::TruncatedCloseCode));
    close(b"\x03\xed", &[], Err(Violation::InvalidCloseCode)); // 1005
    close(b"\x03\xe8\xff", &[], Err(Violation::InvalidUtf8));
}

#[test]
fn a_violation_ends_the_machine() {
    let mut connection = Connection::new(Role::Client, Limits { max_message_bytes: LIMIT });
    let mut events = 0;
    let mut count = |_: ringside_websocket::Event<'_>| events += 1;
    assert_eq!(connection.receive(&mut [0x83, 0], &mut count), Err(Violation::ReservedOpcode));
    assert!(connection.is_finished());
    assert_eq!(connection.receive(&mut [0x81, 0, 0x83, 0], &mut count), Ok(()));
    assert_eq!(events, 0);
}

#[test]
fn close_codes_of_violations() {
    assert_eq!(Violation::InvalidUtf8.close_code(), 1007);
    assert_eq!(Violation::MessageTooLarge.close_code(), 1009);
    assert_eq!(Violation::ReservedBits.close_code(), 1002);
}
