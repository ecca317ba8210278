//! Properties: the cut of the bytes means nothing, and what is written is what is read.

mod record;

use proptest::prelude::*;
use record::{Recorded, frame, receive};
use ringside_websocket::{Opcode, Role, write_close, write_frame};

const LIMIT: u32 = 400;

fn role() -> impl Strategy<Value = Role> {
    prop_oneof![Just(Role::Server), Just(Role::Client)]
}

fn other(role: Role) -> Role {
    if role == Role::Server { Role::Client } else { Role::Server }
}

fn opcode() -> impl Strategy<Value = Opcode> {
    use Opcode::{Binary, Close, Continuation, Ping, Pong, Text};
    prop_oneof![
        3 => Just(Continuation), 3 => Just(Text), 2 => Just(Binary),
        1 => Just(Close), 2 => Just(Ping), 1 => Just(Pong)
    ]
}

fn payload() -> impl Strategy<Value = Vec<u8>> {
    prop_oneof![
        "\\PC{0,40}".prop_map(String::into_bytes),
        proptest::collection::vec(any::<u8>(), 0..20),
        (0..LIMIT as usize + 2).prop_map(|len| vec![b'x'; len]),
    ]
}

/// Well-formed frames in any order, most orders being wrong somewhere.
fn frames(sender: Role) -> impl Strategy<Value = Vec<u8>> {
    let frame = (any::<bool>(), opcode(), payload())
        .prop_map(move |(fin, opcode, payload)| frame(sender, fin, opcode, &payload));
    proptest::collection::vec(frame, 0..8).prop_map(|frames| frames.concat())
}

fn pieces<'a>(bytes: &'a [u8], cuts: &[usize]) -> Vec<&'a [u8]> {
    let mut rest = bytes;
    let mut pieces = Vec::new();
    for cut in cuts {
        let (piece, later) = rest.split_at((*cut).min(rest.len()));
        pieces.push(piece);
        rest = later;
    }
    pieces.push(rest);
    pieces
}

/// A message that a peer sends in whatever fragments.
#[derive(Clone, Debug)]
struct Message {
    text: Option<String>,
    bytes: Vec<u8>,
    cuts: Vec<usize>,
    pings: Vec<Vec<u8>>,
}

fn message() -> impl Strategy<Value = Message> {
    (
        proptest::option::of("\\PC{0,60}"),
        proptest::collection::vec(any::<u8>(), 0..200),
        proptest::collection::vec(0..50_usize, 0..5),
        proptest::collection::vec(proptest::collection::vec(any::<u8>(), 0..=125), 5),
    )
        .prop_map(|(text, bytes, cuts, pings)| Message { text, bytes, cuts, pings })
}

impl Message {
    fn send(&self, sender: Role, out: &mut Vec<u8>) -> Vec<Recorded> {
        let (opcode, payload) = match &self.text {
            Some(text) => (Opcode::Text, text.as_bytes()),
            None => (Opcode::Binary, &self.bytes[..]),
        };
        let fragments = pieces(payload, &self.cuts);
        let mut events = Vec::new();
        for (index, fragment) in fragments.iter().enumerate() {
            let opcode = if index == 0 { opcode } else { Opcode::Continuation };
            let fin = index + 1 == fragments.len();
            out.extend(frame(sender, fin, opcode, fragment));
            if !fin {
                out.extend(frame(sender, true, Opcode::Ping, &self.pings[index]));
                events.push(Recorded::Ping(self.pings[index].clone()));
            }
        }
        events.push(match &self.text {
            Some(text) => Recorded::Text(text.clone().into_bytes()),
            None => Recorded::Binary(self.bytes.clone()),
        });
        events
    }
}

proptest! {
    #[test]
    fn any_split_gives_the_same_events(
        (receiver, bytes) in role().prop_flat_map(|receiver| (Just(receiver), frames(other(receiver)))),
        cuts in proptest::collection::vec(0..60_usize, 0..30),
    ) {
        let whole = receive(receiver, LIMIT, std::iter::once(&bytes[..]));
        let split = receive(receiver, LIMIT, pieces(&bytes, &cuts).into_iter());
        prop_assert_eq!(whole, split);
    }

    #[test]
    fn any_bytes_are_survived_and_cut_alike(
        receiver in role(),
        bytes in proptest::collection::vec(any::<u8>(), 0..40),
        cut in 0..40_usize,
    ) {
        let whole = receive(receiver, LIMIT, std::iter::once(&bytes[..]));
        let split = receive(receiver, LIMIT, pieces(&bytes, &[cut]).into_iter());
        prop_assert_eq!(whole, split);
    }

    #[test]
    fn messages_arrive_as_they_were_sent(
        receiver in role(),
        messages in proptest::collection::vec(message(), 0..4),
        cuts in proptest::collection::vec(0..60_usize, 0..30),
    ) {
        let mut bytes = Vec::new();
        let expected: Vec<Recorded> =
            messages.iter().flat_map(|message| message.send(other(receiver), &mut bytes)).collect();
        let (events, end) = receive(receiver, LIMIT, pieces(&bytes, &cuts).into_iter());
        prop_assert_eq!(end, Ok(()));
        prop_assert_eq!(events, expected);
    }

    #[test]
    fn what_is_written_is_read(
        key: [u8; 4],
        receiver in role(),
        payload in proptest::collection::vec(any::<u8>(), 0..300),
        reason in "\\PC{0,40}",
        code in 3000..5000_u16,
    ) {
        let mask = (receiver == Role::Server).then_some(key);
        let mut out = Vec::new();
        write_frame(&mut out, Opcode::Binary, &payload, mask);
        write_close(&mut out, Some(code), &reason, mask);
        let (events, end) = receive(receiver, LIMIT, std::iter::once(&out[..]));
        prop_assert_eq!(end, Ok(()));
        prop_assert_eq!(&events[0], &Recorded::Binary(payload));
        let Recorded::Close(read_code, read_reason) = &events[1] else { panic!("no close: {events:?}") };
        prop_assert_eq!(*read_code, Some(code));
        prop_assert!(reason.starts_with(read_reason.as_str()));
        prop_assert!(reason.len() > 123 || *read_reason == reason);
    }
}
