//! A node's lease of its slot: heartbeats, the fence, and its end.

mod support;

use std::sync::atomic::Ordering;
use std::time::Duration;

use ringside_domain::lease::{FENCE, HEARTBEAT_INTERVAL};
use ringside_edge_protocol::ToShard;
use ringside_types::Slot;
use ringside_wire::records::{Claim, control};
use support::{EPOCH, SLOT, TestNode};

#[test]
fn the_shards_hear_of_the_lease_first() {
    let mut test = TestNode::new();
    let told = test.deliveries();
    assert!(matches!(told[0], (0, ToShard::Seated { slot: SLOT, epoch: EPOCH })));
    assert!(matches!(told[1], (1, ToShard::Seated { slot: SLOT, epoch: EPOCH })));
}

#[test]
fn records_are_taken_within_the_fence_alone() {
    let mut test = TestNode::new();
    assert!(!test.node.takes_records(test.now), "nothing is read back yet");
    test.hold();
    assert!(test.node.takes_records(test.now));
    test.advance(FENCE - Duration::from_millis(1));
    assert!(test.node.takes_records(test.now));
    test.advance(Duration::from_millis(1));
    assert!(!test.node.takes_records(test.now), "no heartbeat came back");
    test.beat();
    assert!(test.node.takes_records(test.now));
}

#[test]
fn heartbeats_are_due_twice_a_second() {
    let mut test = TestNode::holding();
    let begun = test.now.instant;
    assert_eq!(test.node.next_timeout(), begun + HEARTBEAT_INTERVAL);
    test.wait(HEARTBEAT_INTERVAL / 2);
    assert!(test.effects().is_empty(), "too early");
    test.wait(HEARTBEAT_INTERVAL / 2);
    assert_eq!(test.effects(), ["heartbeat"]);
}

#[test]
fn a_rival_s_claim_ends_the_lease_and_another_slot_s_does_not() {
    let mut test = TestNode::holding();
    let claim = |slot: Slot| control::Body::Claim(Claim { slot: slot.0.into(), nonce: vec![1; 16].into() });
    test.control(claim(Slot(2)));
    assert!(!test.node.is_lost());
    assert_eq!(test.effects(), ["change presence"], "its former connections are gone");
    test.control(claim(SLOT));
    assert!(test.node.is_lost());
    test.deliveries();
    assert!(test.node.finish(true).is_empty());
    assert_eq!(test.counters.seated.load(Ordering::Relaxed), 0);
    let told = test.deliveries();
    assert!(told.iter().all(|(_, mail)| matches!(mail, ToShard::Fenced)) && told.len() == 2);
}

#[test]
fn a_machine_that_was_paused_sends_nothing_until_it_has_heard_from_the_log() {
    let mut test = TestNode::holding();
    // All clocks stood still but the one that the host has set since.
    test.now.wall = test.now.wall.plus_ms(60_000);
    assert!(test.node.takes_records(test.now), "it can't know yet");
    test.wait(HEARTBEAT_INTERVAL);
    assert!(!test.node.takes_records(test.now));
    test.advance(HEARTBEAT_INTERVAL);
    test.beat();
    assert!(test.node.takes_records(test.now));
}
