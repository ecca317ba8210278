//! Where the kernel's descriptor limit is lower than the table, a shard has several rings, and
//! nobody outside can tell.

mod support;

use std::io::{Read, Write};

use ringside_reactor::{Backend, CloseReason, Config};
use support::{Order, Rig, config, echo_once, read_to_end};

const CROWD: usize = 300;

/// 64 descriptors a ring: seven rings for the crowd.
fn many_rings() -> Config {
    Config {
        ring_descriptors: 64,
        max_connections: CROWD as u32,
        submission_entries: 16,
        completion_entries: 64,
        ..config(Backend::Uring)
    }
}

#[test]
fn a_crowd_over_seven_rings_is_served() {
    let rig = Rig::new(&many_rings());
    let mut streams: Vec<_> = (0..CROWD).map(|_| rig.connect_seen()).collect();
    let mut slots: Vec<_> = streams.iter().map(|(_, id)| id.slot()).collect();
    slots.sort_unstable();
    slots.dedup();
    assert_eq!(slots.len(), CROWD, "a connection has a slot of its own");
    for round in 0..5u8 {
        for (n, (stream, _)) in streams.iter_mut().enumerate() {
            stream.write_all(&[n as u8, round]).expect("it takes it");
        }
        for (n, (stream, _)) in streams.iter_mut().enumerate() {
            let mut answer = [0; 2];
            stream.read_exact(&mut answer).expect("it echoes");
            assert_eq!(answer, [n as u8, round]);
        }
    }
    // Each ring wakes the sleeping shard on its own, and each can be written to from outside.
    for (stream, id) in &mut streams {
        rig.settle();
        echo_once(stream, b"wake");
        rig.order(Order::Push(*id, 3));
        let mut pushed = [0; 3];
        stream.read_exact(&mut pushed).expect("it arrives");
    }
}

#[test]
fn a_full_table_over_several_rings_serves_in_turns() {
    let rig = Rig::new(&many_rings());
    let streams: Vec<_> = (0..CROWD + 50).map(|_| rig.connect()).collect();
    let ids: Vec<_> = (0..CROWD).map(|_| rig.opened()).collect();
    rig.settle();
    assert_eq!(rig.shard.counters().snapshot().connections, CROWD as u64);
    for id in &ids[..50] {
        rig.order(Order::CloseNow(*id));
    }
    for _ in 0..50 {
        rig.opened();
    }
    assert_eq!(rig.shard.counters().snapshot().accept_failures, 0);
    drop(streams);
}

#[test]
fn all_are_closed_over_all_rings() {
    let rig = Rig::new(&many_rings());
    let mut streams: Vec<_> = (0..CROWD).map(|_| rig.connect_seen().0).collect();
    rig.order(Order::CloseAll);
    for stream in &mut streams {
        assert!(read_to_end(stream).is_empty());
    }
    for _ in 0..CROWD {
        assert_eq!(rig.closed().1, CloseReason::Requested);
    }
    echo_once(&mut rig.connect(), b"next");
}

#[test]
fn connections_of_our_own_go_over_all_rings() {
    let server = Rig::new(&many_rings());
    let rig = Rig::new(&Config { listen: None, ..many_rings() });
    for _ in 0..CROWD {
        rig.order(Order::Connect(server.address()));
    }
    let ids: Vec<_> = (0..CROWD).map(|_| rig.opened()).collect();
    // Each echoes the other's echo for ever; one byte each way shows that all are alive.
    for id in ids {
        rig.order(Order::Push(id, 1));
    }
    let mut heard = std::collections::HashSet::new();
    while heard.len() < CROWD {
        let id = rig.wait_for(|seen| match seen {
            support::Seen::Received(id, _) => Some(id),
            _ => None,
        });
        if heard.insert(id) {
            rig.order(Order::CloseNow(id));
        }
    }
}
