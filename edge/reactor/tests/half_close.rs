//! A peer that closes one side still gets its answer; one that resets is let go.

mod support;

use std::io::{Read, Write};
use std::net::Shutdown;

use ringside_reactor::{Backend, CloseReason, Config};
use support::{Order, Rig, config, echo_once, read_to_end};

over_both_backends!(
    the_answer_arrives_after_a_half_close,
    bytes_and_end_in_one_segment_are_both_seen,
    a_reset_ends_the_connection,
    closing_now_reaches_the_peer,
    a_connection_closes_once,
    an_answer_survives_a_peer_that_still_sends,
    a_peer_that_never_ends_is_closed_after_linger,
);

fn the_answer_arrives_after_a_half_close(backend: Backend) {
    let rig = Rig::new(&config(backend));
    let (mut stream, id) = rig.connect_seen();
    let question = vec![7; 300_000];
    let mut writer = stream.try_clone().expect("a second handle");
    let copy = question.clone();
    let writing = std::thread::spawn(move || {
        writer.write_all(&copy).expect("it takes all");
        writer.shutdown(Shutdown::Write).expect("half closed");
    });
    assert!(read_to_end(&mut stream) == question);
    writing.join().expect("no panic");
    assert_eq!(rig.closed(), (id, CloseReason::PeerClosed));
}

fn bytes_and_end_in_one_segment_are_both_seen(backend: Backend) {
    let rig = Rig::new(&config(backend));
    for _ in 0..50 {
        let mut stream = rig.connect();
        stream.write_all(b"last words").expect("it takes it");
        stream.shutdown(Shutdown::Write).expect("half closed");
        assert_eq!(read_to_end(&mut stream), b"last words");
        assert_eq!(rig.closed().1, CloseReason::PeerClosed);
    }
}

fn a_reset_ends_the_connection(backend: Backend) {
    let rig = Rig::new(&config(backend));
    let (stream, id) = rig.connect_seen();
    // No linger time: the close is a reset.
    socket2::SockRef::from(&stream).set_linger(Some(std::time::Duration::ZERO)).expect("a socket");
    drop(stream);
    assert_eq!(rig.closed(), (id, CloseReason::Reset));
}

fn closing_now_reaches_the_peer(backend: Backend) {
    // Closing a descriptor with an armed receive would not close the socket: the receive must be
    // cancelled first. The peer would wait for ever.
    let rig = Rig::new(&config(backend));
    let (mut stream, id) = rig.connect_seen();
    echo_once(&mut stream, b"armed");
    rig.order(Order::CloseNow(id));
    assert!(read_to_end(&mut stream).is_empty());
    assert_eq!(rig.closed(), (id, CloseReason::Requested));
}

fn a_connection_closes_once(backend: Backend) {
    let rig = Rig::new(&config(backend));
    let (mut stream, id) = rig.connect_seen();
    rig.order(Order::Push(id, 10));
    rig.order(Order::CloseNow(id));
    rig.order(Order::CloseAfterFlush(id));
    rig.order(Order::CloseNow(id));
    assert_eq!(rig.closed(), (id, CloseReason::Requested));
    read_to_end(&mut stream);
    // The slot is used again, under another name; the old one touches nothing.
    let (mut next, next_id) = rig.connect_seen();
    assert_ne!(next_id, id);
    rig.order(Order::CloseNow(id));
    rig.order(Order::Push(id, 10));
    echo_once(&mut next, b"untouched");
    assert_eq!(rig.shard.counters().snapshot().closed, 1);
}

fn an_answer_survives_a_peer_that_still_sends(backend: Backend) {
    const ANSWER: usize = 100_000;
    let rig = Rig::with(&config(backend), false);
    let (mut stream, id) = rig.connect_seen();
    let mut writer = stream.try_clone().expect("a second handle");
    let writing = std::thread::spawn(move || {
        // A body that nobody wants: it is read and dropped, never reset.
        writer.write_all(&vec![1; 8 << 20]).expect("it takes all");
        writer.shutdown(Shutdown::Write).expect("half closed");
    });
    rig.order(Order::Push(id, ANSWER));
    rig.order(Order::CloseAfterAnswer(id));
    assert_eq!(read_to_end(&mut stream).len(), ANSWER);
    writing.join().expect("no panic");
    assert_eq!(rig.closed(), (id, CloseReason::Requested));
    assert!(rig.shard.counters().snapshot().discarded_bytes > 0);
}

fn a_peer_that_never_ends_is_closed_after_linger(backend: Backend) {
    let rig = Rig::new(&Config { linger_ms: 100, ..config(backend) });
    let (mut stream, id) = rig.connect_seen();
    rig.order(Order::CloseAfterAnswer(id));
    let mut nothing = [0; 1];
    assert_eq!(stream.read(&mut nothing).expect("our end"), 0);
    assert_eq!(rig.closed(), (id, CloseReason::LingerExpired));
}
