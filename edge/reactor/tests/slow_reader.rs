//! A peer that doesn't read fills its own queue up to the limit, and nobody else's.

#![expect(clippy::disallowed_methods, reason = "tests are no shards")]

mod support;

use std::io::{Read, Write};
use std::time::{Duration, Instant};

use ringside_reactor::{BURST_FACTOR, Backend, CloseReason, Config, ConnectionId};
use support::{Echo, GOODBYE, Order, Rig, Seen, config, echo_once, read_to_end};

over_both_backends!(
    the_handler_is_told_and_then_the_connection_is_closed,
    a_slow_reader_is_told_goodbye_behind_what_it_was_sent,
    others_are_served_meanwhile,
    a_slow_reader_gets_everything,
    close_after_flush_sends_the_rest,
    close_after_flush_gives_up_after_linger,
    a_burst_in_one_turn_is_not_slowness,
    a_burst_is_bounded,
    who_stays_above_the_limit_for_as_long_as_it_may_is_slow,
    what_all_hold_is_bounded_and_the_stalest_gives_way,
    who_takes_nothing_in_time_is_slow_whatever_they_send,
    who_takes_a_little_is_waited_for,
);

const LIMIT: usize = 256 * 1024;
/// More than the kernel's socket buffers take on loopback.
const FLOOD: usize = 16 << 20;

/// Longer than any test takes.
const FOREVER_MS: u32 = 3_600_000;

/// No patience: the limit itself is tested.
fn small(backend: Backend) -> Config {
    Config { send_queue_limit_bytes: LIMIT, send_patience_ms: 0, ..config(backend) }
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

fn a_burst_in_one_turn_is_not_slowness(backend: Backend) {
    let rig = Rig::new(&Config { send_queue_limit_bytes: LIMIT, ..config(backend) });
    let (mut stream, id) = rig.connect_seen();
    let bytes = LIMIT * BURST_FACTOR;
    rig.order(Order::Push(id, bytes));
    let mut got = vec![0; bytes];
    stream.read_exact(&mut got).expect("who reads gets all of it");
    echo_once(&mut stream, b"and goes on");
    assert_eq!(rig.shard.counters().snapshot().queue_overflows, 0);
}

fn a_burst_is_bounded(backend: Backend) {
    let patient = Config { send_queue_limit_bytes: LIMIT, send_patience_ms: FOREVER_MS, ..config(backend) };
    let (sender, seen) = std::sync::mpsc::channel();
    let echo = Echo { seen: sender, echo: false, goodbye: true, open: Vec::new() };
    let rig = Rig::of(&patient, echo, seen);
    let (mut stream, id) = rig.connect_seen();
    rig.order(Order::Burst(id, LIMIT, 1_000_000));
    let taken = rig.wait_for(|seen| if let Seen::Mail(taken) = seen { Some(taken) } else { None });
    assert_eq!(taken, BURST_FACTOR as u64 + 1, "the queue takes what it may hold, and one append more");
    rig.wait_for(|seen| (seen == Seen::Overflowed(id)).then_some(()));
    assert_eq!(read_to_end(&mut stream), GOODBYE, "the handler has its last words");
}

fn who_stays_above_the_limit_for_as_long_as_it_may_is_slow(backend: Backend) {
    let patience = Duration::from_millis(200);
    let patient = Config {
        send_queue_limit_bytes: FLOOD / BURST_FACTOR,
        send_patience_ms: patience.as_millis() as u32,
        ..config(backend)
    };
    let rig = Rig::new(&patient);
    let (_stalled, id) = rig.connect_seen();
    let began = Instant::now();
    rig.order(Order::Push(id, FLOOD));
    let mut other = rig.connect();
    echo_once(&mut other, b"not held up");
    assert_eq!(rig.closed(), (id, CloseReason::QueueFull));
    assert!(began.elapsed() >= patience, "it was given its time");
}

fn what_all_hold_is_bounded_and_the_stalest_gives_way(backend: Backend) {
    let patient = Config {
        send_queue_limit_bytes: FLOOD * 4,
        send_patience_ms: FOREVER_MS,
        // Of the first, more than the half stays with the kernel full.
        send_budget_bytes: FLOOD * 2,
        ..config(backend)
    };
    let rig = Rig::new(&patient);
    let (_first, first) = rig.connect_seen();
    rig.order(Order::Push(first, FLOOD * 2));
    rig.settle();
    let (_second, second) = rig.connect_seen();
    rig.order(Order::Push(second, FLOOD * 2));
    assert_eq!(rig.closed(), (first, CloseReason::QueueFull), "it has taken nothing for longer");
    // What it held is given back.
    rig.settle();
    assert_eq!(rig.shard.counters().snapshot().queue_overflows, 1);
    rig.order(Order::CloseNow(second));
    assert_eq!(rig.closed(), (second, CloseReason::Requested));
}

fn who_takes_nothing_in_time_is_slow_whatever_they_send(backend: Backend) {
    // Far below the limit.
    let patient = Config { send_queue_limit_bytes: FLOOD * 2, send_stall_ms: 400, ..config(backend) };
    let (sender, seen) = std::sync::mpsc::channel();
    let rig = Rig::of(&patient, Echo { seen: sender, echo: false, goodbye: false, open: Vec::new() }, seen);
    let (mut stalled, id) = rig.connect_seen();
    rig.order(Order::Push(id, FLOOD));
    let ended = loop {
        // It goes on sending, and reads nothing.
        let _ = stalled.write_all(b"still here");
        let seen = rig.try_closed(Duration::from_millis(20));
        if let Some(ended) = seen {
            break ended;
        }
    };
    assert_eq!(ended, (id, CloseReason::QueueFull));
}

fn who_takes_a_little_is_waited_for(backend: Backend) {
    let patient = Config { send_queue_limit_bytes: FLOOD * 2, send_stall_ms: 2_000, ..config(backend) };
    let rig = Rig::new(&patient);
    let (mut stream, id) = rig.connect_seen();
    rig.order(Order::Push(id, FLOOD));
    let mut got = vec![0; FLOOD];
    // Longer than the deadline, with progress all the time.
    for part in got.chunks_mut(FLOOD / 32) {
        stream.read_exact(part).expect("who reads slowly gets all of it");
        std::thread::sleep(Duration::from_millis(100));
    }
    assert_eq!(rig.shard.counters().snapshot().queue_overflows, 0);
}
