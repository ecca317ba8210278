//! Timers fire once, in order of time, never early; a waiting shard wakes for them.

#![expect(clippy::disallowed_methods, reason = "tests are no shards")]

mod support;

use std::time::{Duration, Instant};

use ringside_reactor::Backend;
use support::{Order, Rig, Seen, config};

over_both_backends!(a_timer_fires_late_but_never_early, timers_fire_in_order_of_time);

fn timer(seen: Seen) -> Option<u64> {
    match seen {
        Seen::Timer(key) => Some(key),
        _ => None,
    }
}

fn a_timer_fires_late_but_never_early(backend: Backend) {
    let rig = Rig::new(&config(backend));
    for ms in [0, 1, 30, 120] {
        let after = Duration::from_millis(ms);
        let started = Instant::now();
        rig.order(Order::Timer(after, ms));
        assert_eq!(rig.wait_for(timer), ms);
        assert!(started.elapsed() >= after, "fired early");
    }
    assert_eq!(rig.shard.counters().snapshot().timers, 4);
}

fn timers_fire_in_order_of_time(backend: Backend) {
    let rig = Rig::new(&config(backend));
    for ms in [400, 100, 300, 200] {
        rig.order(Order::Timer(Duration::from_millis(ms), ms));
    }
    let fired: Vec<u64> = (0..4).map(|_| rig.wait_for(timer)).collect();
    assert_eq!(fired, [100, 200, 300, 400]);
}
