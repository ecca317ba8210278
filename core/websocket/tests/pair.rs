//! A client and a server stepped against each other through byte queues: handshake, traffic, closing
//! handshake.

mod record;

use record::Recorded;
use ringside_websocket::handshake::{
    RequestParser, ResponseParser, write_request, write_switching_protocols,
};
use ringside_websocket::{Connection, Event, Limits, Opcode, Role, write_close, write_frame};

const NONCE: [u8; 16] = *b"sixteen bytes ok";

/// One end: its machine, what it has yet to send, what it was told.
struct End {
    connection: Connection,
    outbox: Vec<u8>,
    mask: Option<[u8; 4]>,
    close_sent: bool,
    events: Vec<Recorded>,
}

impl End {
    fn new(role: Role) -> Self {
        Self {
            connection: Connection::new(role, Limits { max_message_bytes: 1 << 16 }),
            outbox: Vec::new(),
            mask: (role == Role::Client).then_some([9, 8, 7, 6]),
            close_sent: false,
            events: Vec::new(),
        }
    }

    /// Answers as an endpoint owes it: pings with pongs, a close with a close, a violation with its code.
    fn receive(&mut self, input: &mut [u8]) {
        let Self { connection, outbox, mask, close_sent, events } = self;
        let outcome = connection.receive(input, &mut |event| {
            match &event {
                Event::Ping(payload) => write_frame(outbox, Opcode::Pong, payload, *mask),
                Event::Close { code, .. } if !std::mem::replace(close_sent, true) => {
                    write_close(outbox, *code, "", *mask);
                }
                _ => {}
            }
            events.push(event.into());
        });
        if let Err(violation) = outcome
            && !std::mem::replace(close_sent, true)
        {
            write_close(outbox, Some(violation.close_code()), &violation.to_string(), *mask);
        }
    }

    fn close(&mut self, code: u16) {
        assert!(!std::mem::replace(&mut self.close_sent, true));
        write_close(&mut self.outbox, Some(code), "", self.mask);
    }
}

struct Pair {
    client: End,
    server: End,
    /// Bytes that cross the wire at a time.
    step: usize,
}

impl Pair {
    fn new(step: usize) -> Self {
        Self { client: End::new(Role::Client), server: End::new(Role::Server), step }
    }

    /// Steps until nothing is on the wire.
    fn drive(&mut self) {
        while !(self.client.outbox.is_empty() && self.server.outbox.is_empty()) {
            carry(&mut self.client, &mut self.server, self.step);
            carry(&mut self.server, &mut self.client, self.step);
        }
    }
}

fn carry(from: &mut End, to: &mut End, step: usize) {
    let len = step.min(from.outbox.len());
    let mut piece: Vec<u8> = from.outbox.drain(..len).collect();
    to.receive(&mut piece);
}

fn in_steps(test: impl Fn(&mut Pair)) {
    for step in [1, 2, 3, 7, 64, 1 << 20] {
        test(&mut Pair::new(step));
    }
}

#[test]
fn handshake_then_frames_in_one_stream() {
    let mut wire = Vec::new();
    let headers = [("Sec-WebSocket-Protocol", "ringside.v1, bearer.abc"), ("Origin", "http://localhost")];
    write_request(&mut wire, "localhost:8081", "/ws?x=1", NONCE, &headers);
    let request_len = wire.len();
    // The client doesn't wait for the 101: the frame must survive behind the request.
    write_frame(&mut wire, Opcode::Text, b"early", Some([1, 2, 3, 4]));

    let mut parser = RequestParser::new();
    let (request, consumed) = parser.receive(&wire).expect("well-formed").expect("whole");
    assert_eq!(consumed, request_len);
    assert_eq!((request.path(), request.query()), ("/ws", Some("x=1")));
    assert_eq!(request.protocols().collect::<Vec<_>>(), ["ringside.v1", "bearer.abc"]);
    let key = request.upgrade().expect("an upgrade");
    let mut answer = Vec::new();
    write_switching_protocols(&mut answer, key, Some("ringside.v1"));
    let answer_len = answer.len();
    write_frame(&mut answer, Opcode::Text, b"hello", None);

    let mut client_parser = ResponseParser::new(NONCE);
    let (response, consumed_answer) = client_parser.receive(&answer).expect("well-formed").expect("whole");
    assert_eq!(consumed_answer, answer_len);
    assert!(response.is_upgraded());
    assert_eq!(response.protocol(), Some("ringside.v1"));

    let mut pair = Pair::new(1);
    pair.server.receive(&mut wire[consumed..]);
    pair.client.receive(&mut answer[consumed_answer..]);
    assert_eq!(pair.server.events, [Recorded::Text(b"early".to_vec())]);
    assert_eq!(pair.client.events, [Recorded::Text(b"hello".to_vec())]);
}

#[test]
fn traffic_in_both_directions() {
    in_steps(|pair| {
        let long = vec![b'l'; 3000];
        write_frame(&mut pair.client.outbox, Opcode::Text, &long, pair.client.mask);
        write_frame(&mut pair.client.outbox, Opcode::Ping, b"there?", pair.client.mask);
        write_frame(&mut pair.server.outbox, Opcode::Binary, b"\x00\xff", None);
        write_frame(&mut pair.server.outbox, Opcode::Ping, b"", None);
        pair.drive();
        // An answer may stand anywhere among what the other end sent by itself.
        let told = |end: &End, answer: &[u8]| {
            let mut events = end.events.clone();
            let at = events.iter().position(|event| *event == Recorded::Pong(answer.to_vec()));
            events.remove(at.expect("a pong"));
            events
        };
        assert_eq!(told(&pair.server, b""), [Recorded::Text(long), Recorded::Ping(b"there?".to_vec())]);
        assert_eq!(told(&pair.client, b"there?"), [Recorded::Binary(vec![0, 0xff]), Recorded::Ping(vec![])]);
    });
}

#[test]
fn either_end_closes() {
    in_steps(|pair| {
        pair.client.close(1000);
        pair.drive();
        assert_eq!(pair.server.events, [Recorded::Close(Some(1000), String::new())]);
        assert_eq!(pair.client.events, pair.server.events);
        assert!(pair.client.connection.is_finished() && pair.server.connection.is_finished());
    });
    in_steps(|pair| {
        pair.server.close(4212);
        pair.drive();
        assert_eq!(pair.client.events, [Recorded::Close(Some(4212), String::new())]);
        assert_eq!(pair.server.events, pair.client.events);
    });
}

#[test]
fn both_ends_close_at_once() {
    in_steps(|pair| {
        pair.client.close(1001);
        pair.server.close(4212);
        pair.drive();
        assert_eq!(pair.server.events, [Recorded::Close(Some(1001), String::new())]);
        assert_eq!(pair.client.events, [Recorded::Close(Some(4212), String::new())]);
    });
}

#[test]
fn what_was_sent_before_a_close_arrives() {
    in_steps(|pair| {
        write_frame(&mut pair.server.outbox, Opcode::Text, b"goodbye", None);
        pair.server.close(4108);
        pair.drive();
        let expected = [Recorded::Text(b"goodbye".to_vec()), Recorded::Close(Some(4108), String::new())];
        assert_eq!(pair.client.events, expected);
    });
}

#[test]
fn a_violation_is_told_to_its_author() {
    in_steps(|pair| {
        write_frame(&mut pair.client.outbox, Opcode::Text, b"fine", pair.client.mask);
        write_frame(&mut pair.client.outbox, Opcode::Text, b"\xff", pair.client.mask);
        pair.drive();
        assert_eq!(pair.server.events, [Recorded::Text(b"fine".to_vec())]);
        assert_eq!(pair.client.events, [Recorded::Close(Some(1007), "invalid UTF-8".into())]);
    });
}
