//! Pools and queues that are far too small slow a shard down; they lose nothing.

mod support;

use std::io::{Read, Write};

use ringside_reactor::{Backend, Config};
use support::{Rig, config, echo_once};

over_both_backends!(
    a_pool_of_two_buffers_serves_a_crowd,
    a_tiny_completion_queue_loses_nothing,
    a_busy_connection_does_not_starve_the_others,
);

const CROWD: usize = 100;
const MESSAGE: usize = 500;

/// All write at once, several times; each gets its own bytes back.
fn crowd(rig: &Rig) {
    let mut streams: Vec<_> = (0..CROWD).map(|_| rig.connect()).collect();
    for round in 0..10 {
        for (n, stream) in streams.iter_mut().enumerate() {
            let message = [(n + round) as u8; MESSAGE];
            stream.write_all(&message).expect("it takes it");
        }
        for (n, stream) in streams.iter_mut().enumerate() {
            let mut answer = [0; MESSAGE];
            stream.read_exact(&mut answer).expect("it echoes");
            assert_eq!(answer, [(n + round) as u8; MESSAGE]);
        }
    }
}

fn a_pool_of_two_buffers_serves_a_crowd(backend: Backend) {
    let rig = Rig::new(&Config { receive_buffers: 2, receive_buffer_bytes: 64, ..config(backend) });
    crowd(&rig);
    if backend == Backend::Uring {
        assert!(rig.shard.counters().snapshot().enobufs > 0);
    }
}

fn a_tiny_completion_queue_loses_nothing(backend: Backend) {
    let rig = Rig::new(&Config { submission_entries: 2, completion_entries: 4, ..config(backend) });
    crowd(&rig);
    if backend == Backend::Uring {
        assert!(rig.shard.counters().snapshot().completion_overflows > 0);
    }
}

fn a_busy_connection_does_not_starve_the_others(backend: Backend) {
    let rig = Rig::with(&config(backend), false);
    let busy = rig.connect();
    let mut flood = busy.try_clone().expect("a second handle");
    let flooding = std::thread::spawn(move || {
        let chunk = vec![0; 1 << 16];
        while flood.write_all(&chunk).is_ok() {}
    });
    let mut quiet = rig.connect();
    for n in 1..=200 {
        quiet.write_all(b"me too").expect("it takes it");
        let mut got = 0;
        // Each of its messages is received while the flood goes on.
        while got < 6 {
            got += rig.wait_for(|seen| match seen {
                support::Seen::Received(_, len) if len <= 6 => Some(len),
                _ => None,
            });
        }
        assert!(n <= 200);
    }
    busy.shutdown(std::net::Shutdown::Both).expect("connected");
    flooding.join().expect("no panic");
}

#[test]
fn both_backends_are_really_different() {
    // Guards the tests above: `Auto` on this kernel is io_uring, and poll is not.
    let enters = |backend| {
        let rig = Rig::new(&config(backend));
        echo_once(&mut rig.connect(), b"x");
        rig.shard.backend()
    };
    assert_ne!(enters(Backend::Uring), enters(Backend::Poll));
}
