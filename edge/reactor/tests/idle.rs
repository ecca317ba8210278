//! A connection that is long idle is only watched; it wakes as if nothing had been.

#![expect(clippy::disallowed_methods, reason = "tests are no shards")]

mod support;

use std::time::Duration;

use ringside_reactor::{Backend, CloseReason, Config};
use support::{Order, Rig, config, echo_once, read_to_end};

over_both_backends!(
    a_dozing_connection_wakes_with_its_data,
    a_dozing_connection_is_closed_from_either_side,
    a_dozing_connection_can_be_written_to,
    busy_connections_stay_awake_and_lose_nothing,
    a_shard_without_work_sleeps,
);

fn drowsy(backend: Backend) -> Config {
    Config { idle_to_watch_ms: 1, ..config(backend) }
}

/// Long enough for two sweeps: one that marks, one that finds the mark.
fn sleep_in(rig: &Rig) {
    for key in 0..4 {
        rig.order(Order::Timer(Duration::from_millis(50), key));
        rig.wait_for(|seen| (seen == support::Seen::Timer(key)).then_some(()));
    }
}

fn a_dozing_connection_wakes_with_its_data(backend: Backend) {
    let rig = Rig::new(&drowsy(backend));
    let mut streams: Vec<_> = (0..20).map(|_| rig.connect_seen().0).collect();
    for round in 0..3u8 {
        sleep_in(&rig);
        for stream in &mut streams {
            echo_once(stream, &[round; 100]);
        }
    }
}

fn a_dozing_connection_is_closed_from_either_side(backend: Backend) {
    let rig = Rig::new(&drowsy(backend));
    let (stream, id) = rig.connect_seen();
    sleep_in(&rig);
    drop(stream);
    assert_eq!(rig.closed(), (id, CloseReason::PeerClosed));
    let (mut stream, id) = rig.connect_seen();
    sleep_in(&rig);
    rig.order(Order::CloseNow(id));
    assert!(read_to_end(&mut stream).is_empty());
    assert_eq!(rig.closed(), (id, CloseReason::Requested));
}

fn a_dozing_connection_can_be_written_to(backend: Backend) {
    let rig = Rig::new(&drowsy(backend));
    let (mut stream, id) = rig.connect_seen();
    sleep_in(&rig);
    rig.order(Order::Push(id, 10));
    rig.order(Order::CloseAfterFlush(id));
    assert_eq!(read_to_end(&mut stream), [b'x'; 10]);
}

fn busy_connections_stay_awake_and_lose_nothing(backend: Backend) {
    let rig = Rig::new(&drowsy(backend));
    let mut streams: Vec<_> = (0..20).map(|_| rig.connect()).collect();
    let end = std::time::Instant::now() + Duration::from_millis(500);
    let mut n = 0u32;
    while std::time::Instant::now() < end {
        for stream in &mut streams {
            echo_once(stream, &n.to_be_bytes());
            n += 1;
        }
    }
}

fn a_shard_without_work_sleeps(backend: Backend) {
    let rig = Rig::new(&config(backend));
    let mut streams: Vec<_> = (0..50).map(|_| rig.connect()).collect();
    streams.iter_mut().for_each(|stream| echo_once(stream, b"hello"));
    rig.settle();
    rig.order(Order::Timer(Duration::from_millis(300), 0));
    let before = rig.shard.counters().snapshot().turns;
    rig.wait_for(|seen| (seen == support::Seen::Timer(0)).then_some(()));
    let turns = rig.shard.counters().snapshot().turns - before;
    // The order, the timer with its way down the wheel, perhaps a sweep.
    assert!(turns <= 10, "{turns} turns with nothing to do");
}
