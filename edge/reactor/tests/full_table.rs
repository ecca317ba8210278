//! A full table drops nobody: accepting stops before it and goes on after closes.

#![expect(clippy::disallowed_methods, reason = "tests are no shards")]

mod support;

use ringside_reactor::{Backend, Config};
use support::{Order, Rig, Seen, config, echo_once};

over_both_backends!(
    those_who_wait_are_served_after_closes,
    a_crowd_far_over_the_limit_is_served_in_turns,
    stop_accepting_refuses_and_keeps_the_others,
);

fn those_who_wait_are_served_after_closes(backend: Backend) {
    let rig = Rig::new(&Config { max_connections: 4, ..config(backend) });
    let mut inside: Vec<_> = (0..4).map(|_| rig.connect_seen()).collect();
    // The kernel completes their handshakes; the shard does not take them.
    let mut waiting: Vec<_> = (0..3).map(|_| rig.connect()).collect();
    for (stream, _) in &mut inside {
        echo_once(stream, b"inside");
    }
    assert_eq!(rig.shard.counters().snapshot().accepted, 4);
    for (stream, _) in inside.drain(..3) {
        drop(stream);
    }
    for stream in &mut waiting {
        echo_once(stream, b"my turn");
    }
    assert_eq!(rig.shard.counters().snapshot().accepted, 7);
    assert_eq!(rig.shard.counters().snapshot().accept_failures, 0);
}

fn a_crowd_far_over_the_limit_is_served_in_turns(backend: Backend) {
    const CROWD: usize = 400;
    let rig = Rig::new(&Config { max_connections: 50, ..config(backend) });
    let streams: Vec<_> = (0..CROWD).map(|_| rig.connect()).collect();
    let (mut open, mut most) = (0, 0);
    let mut streams = streams.into_iter();
    let mut served = 0;
    while served < CROWD {
        // Closing in the order of connecting frees places for those who wait.
        drop(streams.next());
        loop {
            let seen = rig.wait_for(|seen| match seen {
                Seen::Opened(_) => Some(true),
                Seen::Closed(..) => Some(false),
                _ => None,
            });
            if seen {
                open += 1;
                most = most.max(open);
            } else {
                open -= 1;
                served += 1;
                break;
            }
        }
    }
    assert!(most <= 50, "{most} connections were open at once");
    assert_eq!(rig.shard.counters().snapshot().accepted, CROWD as u64);
}

fn stop_accepting_refuses_and_keeps_the_others(backend: Backend) {
    let rig = Rig::new(&config(backend));
    let mut inside = rig.connect();
    echo_once(&mut inside, b"before");
    rig.order(Order::StopAccepting);
    rig.settle();
    // The kernel lets go of the listening socket a moment later on io_uring.
    let give_up = std::time::Instant::now() + support::PATIENCE;
    while std::net::TcpStream::connect(rig.address()).is_ok() {
        assert!(std::time::Instant::now() < give_up, "it still accepts");
        std::thread::yield_now();
    }
    echo_once(&mut inside, b"after");
}
