//! What a connection costs in memory: nothing per frame, nothing while idle, and for a message in pieces what
//! has arrived of it.

mod record;

use allocation_counter::measure;
use record::frame;
use ringside_websocket::{Connection, Limits, Opcode, Role, write_close, write_frame};

const MIB: usize = 1 << 20;

fn server(max_message_bytes: usize) -> Connection {
    Connection::new(Role::Server, Limits { max_message_bytes: max_message_bytes as u32 })
}

#[test]
fn whole_frames_are_lent_in_place() {
    let mut input = Vec::new();
    for _ in 0..100 {
        input.extend(frame(Role::Client, true, Opcode::Text, "grüß dich".as_bytes()));
        input.extend(frame(Role::Client, true, Opcode::Binary, &[7; 200]));
        input.extend(frame(Role::Client, true, Opcode::Ping, b"?"));
    }
    let range = input.as_ptr_range();
    let mut connection = server(MIB);
    let mut events = 0;
    let allocations = measure(|| {
        let outcome = connection.receive(&mut input, &mut |event| {
            events += 1;
            if let ringside_websocket::Event::Text(payload) | ringside_websocket::Event::Binary(payload) =
                event
            {
                assert!(range.contains(&payload.as_ptr()));
            }
        });
        assert_eq!(outcome, Ok(()));
    });
    assert_eq!(events, 300);
    assert_eq!(allocations.count_total, 0);
}

#[test]
fn a_header_cut_off_its_payload_allocates_nothing() {
    let mut bytes = frame(Role::Client, true, Opcode::Text, b"payload");
    let payload_start = bytes.len() - 7;
    for cut in 0..=payload_start {
        let (first, second) = bytes.split_at_mut(cut);
        let (mut first, mut second) = (first.to_vec(), second.to_vec());
        let mut connection = server(MIB);
        let mut events = 0;
        let allocations = measure(|| {
            assert_eq!(connection.receive(&mut first, &mut |_| events += 1), Ok(()));
            assert_eq!(connection.receive(&mut second, &mut |_| events += 1), Ok(()));
        });
        assert_eq!((events, allocations.count_total), (1, 0), "cut at {cut}");
    }
}

#[test]
fn encoding_allocates_only_what_the_buffer_grows() {
    let mut out = Vec::with_capacity(10_000);
    let allocations = measure(|| {
        write_frame(&mut out, Opcode::Text, &[b'x'; 5000], Some([1, 2, 3, 4]));
        write_frame(&mut out, Opcode::Ping, b"?", None);
        write_close(&mut out, Some(1000), "bye", None);
    });
    assert_eq!(allocations.count_total, 0);
}

#[test]
fn what_is_announced_is_not_allocated() {
    let mut connection = server(16 * MIB);
    let mut start = frame(Role::Client, true, Opcode::Binary, &vec![0; 16 * MIB]);
    start.truncate(14 + 100);
    let allocations =
        measure(|| assert_eq!(connection.receive(&mut start, &mut |_| panic!("no event")), Ok(())));
    assert!(allocations.bytes_max < 1000, "{} bytes for 100", allocations.bytes_max);
    assert!(connection.buffered_bytes() < 1000);
}

#[test]
fn tiny_fragments_cost_their_bytes_and_are_released() {
    // Autobahn 9.3.1 and 9.4.1: 4 MiB in fragments of 64 bytes, here in pieces of 1.5 KiB; and twice as much
    // in empty ones.
    let mut bytes = frame(Role::Client, false, Opcode::Text, b"");
    for _ in 0..4 * MIB / 64 {
        bytes.extend(frame(Role::Client, false, Opcode::Continuation, &[b'*'; 64]));
        bytes.extend(frame(Role::Client, false, Opcode::Continuation, b""));
        bytes.extend(frame(Role::Client, false, Opcode::Continuation, b""));
    }
    bytes.extend(frame(Role::Client, true, Opcode::Continuation, b""));
    let mut connection = server(16 * MIB);
    let mut received = 0;
    let mut sink = |event: ringside_websocket::Event<'_>| match event {
        ringside_websocket::Event::Text(payload) => received += payload.len(),
        other => panic!("unexpected {other:?}"),
    };
    let allocations = measure(|| {
        for piece in bytes.chunks_mut(1500) {
            assert_eq!(connection.receive(piece, &mut sink), Ok(()));
        }
    });
    assert_eq!(received, 4 * MIB);
    assert!(allocations.bytes_max < 13 * MIB as u64, "{} bytes held", allocations.bytes_max);
    assert!(allocations.count_total < 40, "{} allocations", allocations.count_total);
    assert_eq!(allocations.bytes_current, 0);
    assert_eq!(connection.buffered_bytes(), 0);
}

#[test]
fn nothing_is_held_between_messages_or_after_the_end() {
    let mut connection = server(MIB);
    let mut ping = frame(Role::Client, true, Opcode::Ping, b"split");
    let (first, second) = ping.split_at_mut(8);
    assert_eq!(connection.receive(first, &mut |_| panic!("no event")), Ok(()));
    assert!(connection.buffered_bytes() > 0);
    assert_eq!(connection.receive(second, &mut |_| ()), Ok(()));
    assert_eq!(connection.buffered_bytes(), 0);

    let mut open = frame(Role::Client, false, Opcode::Text, &[b'x'; 1000]);
    assert_eq!(connection.receive(&mut open, &mut |_| ()), Ok(()));
    assert!(connection.buffered_bytes() >= 1000);
    let mut close = frame(Role::Client, true, Opcode::Close, b"");
    assert_eq!(connection.receive(&mut close, &mut |_| ()), Ok(()));
    assert_eq!(connection.buffered_bytes(), 0);
}

#[test]
fn an_idle_connection_is_32_bytes() {
    assert_eq!(size_of::<Connection>(), 32);
}
