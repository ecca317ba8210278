//! Connections of our own run on the same loop.

mod support;

use std::net::TcpListener;

use ringside_reactor::{Backend, CloseReason, Config};
use support::{ANY_PORT, Order, Rig, Seen, config, echo_once};

over_both_backends!(
    a_shard_connects_and_echoes,
    a_refused_connection_is_told,
    a_thousand_connections_of_our_own,
);

fn client(backend: Backend) -> Rig {
    Rig::new(&Config { listen: None, ..config(backend) })
}

fn a_shard_connects_and_echoes(backend: Backend) {
    let rig = client(backend);
    let listener = TcpListener::bind(ANY_PORT).expect("a free port");
    rig.order(Order::Connect(listener.local_addr().expect("bound")));
    let (mut peer, _) = listener.accept().expect("it connects");
    peer.set_read_timeout(Some(support::PATIENCE)).expect("a socket");
    let id = rig.opened();
    echo_once(&mut peer, &[42; 100_000]);
    drop(peer);
    assert_eq!(rig.closed().0, id);
}

fn a_refused_connection_is_told(backend: Backend) {
    let rig = client(backend);
    let closed_port =
        TcpListener::bind(ANY_PORT).and_then(|listener| listener.local_addr()).expect("a free port");
    rig.order(Order::Connect(closed_port));
    let reason = rig.wait_for(|seen| match seen {
        Seen::Closed(_, reason) => Some(reason),
        Seen::Opened(_) => panic!("nobody listens there"),
        _ => None,
    });
    let refused = rustix::io::Errno::CONNREFUSED.raw_os_error();
    assert_eq!(reason, CloseReason::ConnectFailed(refused));
    assert_eq!(rig.shard.counters().snapshot().connections, 0);
}

fn a_thousand_connections_of_our_own(backend: Backend) {
    const CROWD: usize = 1000;
    let server = Rig::new(&config(backend));
    let rig = client(backend);
    for _ in 0..CROWD {
        rig.order(Order::Connect(server.address()));
    }
    let ids: Vec<_> = (0..CROWD).map(|_| rig.opened()).collect();
    rig.order(Order::CloseAll);
    for _ in 0..ids.len() {
        assert_eq!(rig.closed().1, CloseReason::Requested);
        assert_eq!(server.closed().1, CloseReason::PeerClosed);
    }
}
