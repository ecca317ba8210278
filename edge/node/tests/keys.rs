//! The keys that verify tokens reach the shards: at the beginning of a lease, and whenever they change.

mod support;

use std::time::Duration;

use ringside_application::backend::BackendError;
use ringside_edge_protocol::ToShard;
use ringside_types::PublicKey;
use ringside_wire::records::{KeysChanged, control};
use support::{TestNode, key};

const PAUSE: Duration = Duration::from_millis(200);

fn changed() -> control::Body {
    control::Body::KeysChanged(KeysChanged {})
}

/// How many shards were told of keys.
fn told(test: &mut TestNode) -> usize {
    test.deliveries().iter().filter(|(_, mail)| matches!(mail, ToShard::Keys(_))).count()
}

#[test]
fn a_lease_begins_by_reading_them() {
    let mut test = TestNode::new();
    assert_eq!(test.effects(), ["read keys"], "whatever changed before it, nobody here has read");
    test.read_keys(Ok(vec![key("first")]));
    assert_eq!(told(&mut test), 2, "both shards");
    assert!(test.effects().is_empty());
}

#[test]
fn a_change_is_read_and_told_to_all_shards() {
    let mut test = TestNode::holding();
    test.control(changed());
    assert_eq!(test.effects(), ["read keys"]);
    test.control(changed());
    assert_eq!(test.effects(), ["read keys"], "one at a time");
    test.read_keys(Ok(vec![key("first"), key("second")]));
    assert_eq!(test.effects(), ["read keys"], "the answer may be older than the second change");
    assert_eq!(told(&mut test), 2);
    test.read_keys(Ok(vec![key("first"), key("second"), key("third")]));
    assert_eq!((test.effects().len(), told(&mut test)), (0, 2));
}

#[test]
fn what_can_t_be_read_is_asked_for_again() {
    let mut test = TestNode::holding();
    test.control(changed());
    let malformed = PublicKey { id: "short".into(), x: "AA".into() };
    for answer in [Err(BackendError("away".into())), Ok(vec![malformed])] {
        test.read_keys(answer);
        assert_eq!((test.effects().len(), told(&mut test)), (0, 0), "the shards keep those they have");
        assert_eq!(test.node.next_timeout(), test.now.instant + PAUSE);
        test.advance(PAUSE - Duration::from_millis(1));
        assert!(test.effects().is_empty(), "too early");
        test.advance(Duration::from_millis(1));
        assert_eq!(test.effects(), ["read keys"]);
    }
    test.read_keys(Ok(vec![key("second")]));
    assert_eq!(told(&mut test), 2);
}
