//! A peer that doesn't read fills its own queue up to the limit, and nobody else's.

mod support;

use std::io::Read;

use ringside_reactor::{Backend, CloseReason, Config, ConnectionId};
use support::{Echo, GOODBYE, Order, Rig, Seen, config, echo_once, read_to_end};

over_both_backends!(
    the_handler_is_told_and_then_the_connection_is_closed,
    a_slow_reader_is_told_goodbye_behind_what_it_was_sent,
    others_are_served_meanwhile,
    a_slow_reader_gets_everything,
    close_after_flush_sends_the_rest,
    close_after_flush_gives_up_after_linger,
);

const LIMIT: usize = 256 * 1024;
/// More than the kernel's socket buffers take on loopback.
const FLOOD: usize = 16 << 20;

fn small(backend: Backend) -> Config {
    Config { send_queue_limit_bytes: LIMIT, ..config(backend) }
}

/// Queues until the handler is told of the overflow.
fn flood(rig: &Rig, id: ConnectionId) -> ConnectionId {
    loop {
        rig.order(Order::Push(id, LIMIT / 4));
        rig.order(Order::Note(0));
        let seen = rig.wait_for(|seen| match seen {
            Seen::Mail(_) => Some(None),
            Seen::Overflowed(id) => Some(Some(id)),
            _ => None,
        });
        if let Some(id) = seen {
            return id;
        }
    }
}

fn a_slow_reader_is_told_goodbye_behind_what_it_was_sent(backend: Backend) {
    let (sender, seen) = std::sync::mpsc::channel();
    let echo = Echo { seen: sender, echo: false, goodbye: true, open: Vec::new() };
    let rig = Rig::of(&small(backend), echo, seen);
    let (mut stream, id) = rig.connect_seen();
    flood(&rig, id);
    let all = read_to_end(&mut stream);
    let (before, last) = all.split_at(all.len() - GOODBYE.len());
    assert_eq!(last, GOODBYE);
    // Whole appends arrived or were dropped, none in part.
    assert!(before.iter().all(|&byte| byte == b'x') && before.len().is_multiple_of(LIMIT / 4));
    assert_eq!(rig.closed(), (id, CloseReason::Requested));
}

fn the_handler_is_told_and_then_the_connection_is_closed(backend: Backend) {
    let rig = Rig::new(&small(backend));
    let (stream, id) = rig.connect_seen();
    assert_eq!(flood(&rig, id), id);
    assert_eq!(rig.closed(), (id, CloseReason::QueueFull));
    assert_eq!(rig.shard.counters().snapshot().queue_overflows, 1);
    drop(stream);
}

fn others_are_served_meanwhile(backend: Backend) {
    let rig = Rig::new(&Config { send_queue_limit_bytes: FLOOD * 2, ..config(backend) });
    let (_stalled, id) = rig.connect_seen();
    rig.order(Order::Push(id, FLOOD));
    let mut other = rig.connect();
    for _ in 0..100 {
        echo_once(&mut other, b"not held up");
    }
}

fn a_slow_reader_gets_everything(backend: Backend) {
    let rig = Rig::new(&Config { send_queue_limit_bytes: FLOOD * 2, ..config(backend) });
    let (mut stream, id) = rig.connect_seen();
    rig.order(Order::Push(id, FLOOD));
    rig.settle();
    let mut got = vec![0; FLOOD];
    stream.read_exact(&mut got).expect("partial sends go on");
    assert!(got.iter().all(|&byte| byte == b'x'));
    echo_once(&mut stream, b"and on");
}

fn close_after_flush_sends_the_rest(backend: Backend) {
    let rig = Rig::new(&Config { send_queue_limit_bytes: FLOOD * 2, ..config(backend) });
    let (mut stream, id) = rig.connect_seen();
    rig.order(Order::Push(id, FLOOD));
    rig.order(Order::CloseAfterFlush(id));
    rig.order(Order::Push(id, 1));
    rig.settle();
    assert_eq!(read_to_end(&mut stream).len(), FLOOD, "nothing is queued after closing began");
    assert_eq!(rig.closed(), (id, CloseReason::Requested));
}

fn close_after_flush_gives_up_after_linger(backend: Backend) {
    let rig = Rig::new(&Config { send_queue_limit_bytes: FLOOD * 2, linger_ms: 100, ..config(backend) });
    let (_stalled, id) = rig.connect_seen();
    rig.order(Order::Push(id, FLOOD));
    rig.order(Order::CloseAfterFlush(id));
    assert_eq!(rig.closed(), (id, CloseReason::LingerExpired));
}
