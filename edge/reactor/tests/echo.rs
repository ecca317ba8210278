//! What is sent comes back, whole and in order, from one and from many connections.

#![expect(clippy::disallowed_methods, reason = "tests are no shards")]

mod support;

use std::io::{Read, Write};

use ringside_reactor::Backend;
use support::{Rig, config, echo_once};

over_both_backends!(
    bytes_come_back,
    a_stream_larger_than_all_buffers_comes_back_in_order,
    many_connections_are_kept_apart,
    the_peer_address_is_told,
    the_chosen_backend_is_told,
    accepted_sockets_do_not_wait_to_fill_segments,
    an_idle_connection_stays_usable,
);

fn bytes_come_back(backend: Backend) {
    let rig = Rig::new(&config(backend));
    let mut stream = rig.connect();
    for n in 0..100usize {
        echo_once(&mut stream, &vec![n as u8; 1 + n * 37]);
    }
    // The last send may be counted after its bytes have arrived.
    rig.settle();
    let counters = rig.shard.counters().snapshot();
    assert_eq!(counters.received_bytes, counters.sent_bytes);
    assert_eq!((counters.accepted, counters.connections), (1, 1));
}

fn a_stream_larger_than_all_buffers_comes_back_in_order(backend: Backend) {
    const BYTES: usize = 8 << 20;
    let rig = Rig::new(&ringside_reactor::Config { send_queue_limit_bytes: BYTES + 1, ..config(backend) });
    let mut stream = rig.connect();
    let mut writer = stream.try_clone().expect("a second handle");
    let sent: Vec<u8> = (0..BYTES).map(|n| (n * 31 % 251) as u8).collect();
    let copy = sent.clone();
    let writing = std::thread::spawn(move || writer.write_all(&copy).expect("it takes all"));
    let mut got = vec![0; BYTES];
    stream.read_exact(&mut got).expect("all comes back");
    writing.join().expect("no panic");
    assert!(got == sent, "the stream was changed");
}

fn many_connections_are_kept_apart(backend: Backend) {
    let rig = Rig::new(&config(backend));
    let mut streams: Vec<_> = (0..300).map(|_| rig.connect()).collect();
    for round in 0..3u32 {
        for (n, stream) in streams.iter_mut().enumerate() {
            let name = (n as u32 * 3 + round).to_be_bytes();
            stream.write_all(&name.repeat(100)).expect("it takes it");
        }
        for (n, stream) in streams.iter_mut().enumerate() {
            let mut answer = [0; 400];
            stream.read_exact(&mut answer).expect("it echoes");
            assert_eq!(answer[..], (n as u32 * 3 + round).to_be_bytes().repeat(100));
        }
    }
}

fn the_peer_address_is_told(backend: Backend) {
    let rig = Rig::new(&config(backend));
    let (stream, id) = rig.connect_seen();
    let (answer, asked) = std::sync::mpsc::channel();
    rig.order(support::Order::Address(id, answer));
    let told = asked.recv_timeout(support::PATIENCE).expect("an answer");
    assert_eq!(told, Some(stream.local_addr().expect("bound")));
    // Asking must not have disturbed anything.
    let mut stream = stream;
    echo_once(&mut stream, b"still here");
}

fn the_chosen_backend_is_told(backend: Backend) {
    let rig = Rig::new(&config(backend));
    assert_eq!(rig.shard.backend(), backend);
}

fn accepted_sockets_do_not_wait_to_fill_segments(backend: Backend) {
    // With Nagle and delayed acks each second answer of one byte would take 40 ms: 2 s for 50.
    let rig = Rig::new(&config(backend));
    let mut stream = rig.connect();
    stream.set_nodelay(true).expect("a socket");
    let started = std::time::Instant::now();
    for _ in 0..50 {
        stream.write_all(b"a").expect("it takes it");
        stream.write_all(b"b").expect("it takes it");
        let mut two = [0; 2];
        stream.read_exact(&mut two).expect("it echoes");
    }
    assert!(started.elapsed() < std::time::Duration::from_secs(1));
}

fn an_idle_connection_stays_usable(backend: Backend) {
    let rig = Rig::new(&config(backend));
    let mut idle = rig.connect();
    echo_once(&mut idle, b"first");
    let mut busy = rig.connect();
    for _ in 0..500 {
        echo_once(&mut busy, b"busy");
    }
    echo_once(&mut idle, b"second");
}
