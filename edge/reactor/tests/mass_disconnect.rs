//! Everybody leaves at once, from either side; nothing leaks and the shard goes on.

mod support;

use ringside_reactor::{Backend, CloseReason};
use support::{Order, Rig, config, echo_once, read_to_end};

over_both_backends!(all_peers_leave_at_once, all_are_closed_at_once, slots_are_used_again_under_new_names,);

const CROWD: usize = 1000;

fn all_peers_leave_at_once(backend: Backend) {
    let rig = Rig::new(&config(backend));
    let streams: Vec<_> = (0..CROWD).map(|_| rig.connect_seen()).collect();
    let mut ids: Vec<_> = streams.iter().map(|(_, id)| *id).collect();
    drop(streams);
    let mut closed: Vec<_> = (0..CROWD)
        .map(|_| {
            let (id, reason) = rig.closed();
            assert_eq!(reason, CloseReason::PeerClosed);
            id
        })
        .collect();
    ids.sort_unstable();
    closed.sort_unstable();
    assert_eq!(ids, closed, "each is closed exactly once");
    assert_eq!(rig.shard.counters().snapshot().connections, 0);
    echo_once(&mut rig.connect(), b"next");
}

fn all_are_closed_at_once(backend: Backend) {
    let rig = Rig::new(&config(backend));
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

fn slots_are_used_again_under_new_names(backend: Backend) {
    let rig = Rig::new(&ringside_reactor::Config { max_connections: 8, ..config(backend) });
    let mut names = std::collections::HashSet::new();
    for _ in 0..200 {
        let (mut stream, id) = rig.connect_seen();
        assert!(names.insert(id), "{id:?} was used before");
        // A table of 8 has few slots; each is used many times.
        echo_once(&mut stream, b"me");
        drop(stream);
        assert_eq!(rig.closed().0, id);
    }
}
