//! Records of channels: handed on in the order of the chain, gaps read first, nothing lost where a shard is slow.

mod support;

use std::time::Duration;

use ringside_application::backend::{BackendError, ReadAnswer};
use ringside_edge_protocol::{ShardId, ToShard};
use ringside_node::{Completion, Effect};
use ringside_types::{ChannelId, Epoch, MessageId};
use ringside_wire::records::{Rejection, edge_item};
use support::{CHANNEL, EPOCH, OTHER, TestNode, event, item, user};
use uuid::Uuid;

/// A member of two channels, both live at record 10.
fn live() -> TestNode {
    let mut test = TestNode::holding();
    test.connect(1, 4, &[CHANNEL, OTHER]);
    // Joins are numbered in the order in which channels were held, which nothing promises: both are answered for both.
    for n in [1, 2] {
        test.live(CHANNEL, n, 10);
        test.live(OTHER, n, 10);
    }
    test.deliveries();
    test
}

/// Ids of the events that shard 0 was sent, in order.
fn ids(test: &mut TestNode) -> Vec<u64> {
    let of_mail = |(shard, mail)| match mail {
        ToShard::Events { events, .. } if shard == 0 => {
            events.iter().map(|event| event.effective.id).collect()
        }
        _ => Vec::new(),
    };
    test.deliveries().into_iter().flat_map(of_mail).collect()
}

fn gaps(test: &mut TestNode) -> Vec<ringside_domain::feed::GapRange> {
    test.effect(|effect| match effect {
        Effect::ReadGaps(gaps) => Ok(gaps),
        other => Err(other.into()),
    })
}

#[test]
fn events_are_handed_on_once_and_in_order() {
    let mut test = live();
    test.events(CHANNEL, &[(11, 10), (12, 11)]);
    test.events(CHANNEL, &[(12, 11), (13, 12)]);
    assert_eq!(ids(&mut test), [11, 12, 13]);
}

#[test]
fn a_gap_is_read_before_what_follows_it() {
    let mut test = live();
    test.events(CHANNEL, &[(13, 12)]);
    test.events(OTHER, &[(21, 10)]);
    assert_eq!(ids(&mut test), [21], "another channel goes on");
    let ranges = gaps(&mut test);
    assert_eq!((ranges[0].after, ranges[0].up_to), (MessageId(10), MessageId(12)));
    test.events(CHANNEL, &[(14, 13)]);
    assert!(ids(&mut test).is_empty());
    let found = vec![Ok(vec![event(11, 10), event(12, 11)])];
    test.complete(Completion::GapsRead(ranges, ReadAnswer { readers: Vec::new(), gaps: found }));
    assert_eq!(ids(&mut test), [11, 12, 13, 14]);
}

#[test]
fn a_gap_that_can_not_be_read_is_read_again() {
    let mut test = live();
    test.events(CHANNEL, &[(12, 11)]);
    let ranges = gaps(&mut test);
    let failed = vec![Err(BackendError("away".into()))];
    test.complete(Completion::GapsRead(ranges, ReadAnswer { readers: Vec::new(), gaps: failed }));
    assert!(!test.effects().contains(&"read gaps"), "after a pause");
    assert_eq!(test.node.next_timeout(), test.now.instant + Duration::from_millis(200));
    test.wait(Duration::from_millis(200));
    let ranges = gaps(&mut test);
    let found = vec![Ok(vec![event(11, 10)])];
    test.complete(Completion::GapsRead(ranges, ReadAnswer { readers: Vec::new(), gaps: found }));
    assert_eq!(ids(&mut test), [11, 12]);
}

#[test]
fn gaps_are_read_in_few_calls_and_so_many_in_one() {
    let mut test = TestNode::holding();
    let channels: Vec<ChannelId> = (0..100).map(|number| ChannelId(Uuid::from_u128(500 + number))).collect();
    test.connect(1, 4, &channels);
    for (n, channel) in channels.iter().enumerate() {
        test.live(*channel, n as u64 + 1, 10);
    }
    let events = channels.iter().map(|channel| item(*channel, edge_item::Body::Effective(event(12, 11))));
    test.items(EPOCH, events.collect());
    let mut calls = Vec::new();
    while test.effects().contains(&"read gaps") {
        calls.push(gaps(&mut test));
    }
    assert_eq!(calls.iter().map(Vec::len).collect::<Vec<_>>(), [16; 4]);
    let ranges = calls.remove(0);
    let found = ranges.iter().map(|_| Ok(vec![event(11, 10)])).collect();
    test.complete(Completion::GapsRead(ranges, ReadAnswer { readers: Vec::new(), gaps: found }));
    assert_eq!(gaps(&mut test).len(), 16, "one ended, the next begins");
    assert!(!test.effects().contains(&"read gaps"));
}

#[test]
fn records_of_another_epoch_are_passed_over() {
    let mut test = live();
    let other = Epoch(EPOCH.0 + 1);
    test.items(other, vec![item(CHANNEL, edge_item::Body::Effective(event(11, 10)))]);
    assert!(ids(&mut test).is_empty());
}

#[test]
fn what_a_mailbox_does_not_take_comes_first_the_next_time() {
    let mut test = live();
    assert!(!test.node.has_deliveries());
    test.events(CHANNEL, &[(11, 10)]);
    assert!(test.node.has_deliveries());
    let mail = test.node.take_deliveries(ShardId(0));
    test.node.take_deliveries(ShardId(1));
    assert!(!test.node.has_deliveries(), "both shards took all");
    test.node.give_back(ShardId(0), mail);
    assert!(test.node.has_deliveries());
    test.events(CHANNEL, &[(12, 11)]);
    assert_eq!(ids(&mut test), [11, 12]);
}

#[test]
fn events_go_to_a_shard_in_few_messages_and_so_many_in_one() {
    let mut test = live();
    let chain: Vec<(u64, u64)> = (10..10 + 2_049).map(|id| (id + 1, id)).collect();
    test.events(CHANNEL, &chain);
    for shard in [0, 1] {
        let mail = test.node.take_deliveries(ShardId(shard));
        let sizes: Vec<usize> = mail
            .iter()
            .map(|mail| match mail {
                ToShard::Events { events, .. } => events.len(),
                other => panic!("no events: {other:?}"),
            })
            .collect();
        assert_eq!(sizes, [1_024, 1_024, 1], "shard {shard}");
    }
}

#[test]
fn nothing_more_is_read_while_a_shard_takes_nothing() {
    let mut test = live();
    let mut id = 10;
    while test.node.takes_records(test.now) {
        assert!(test.node.has_room());
        id += 1;
        test.events(CHANNEL, &[(id, id - 1)]);
        assert!(id < 100_000, "what waits for a shard is bounded");
    }
    assert!(!test.node.has_room());
    assert_eq!(ids(&mut test).len() as u64, id - 10, "and nothing of it is lost");
    assert!(test.node.takes_records(test.now) && test.node.has_room());
}

#[test]
fn a_rejection_goes_to_its_sender_s_shards() {
    let mut test = live();
    test.connect(2, 5, &[]);
    test.deliveries();
    let rejection = Rejection {
        sender_id: user(2).as_bytes().to_vec().into(),
        code: "forbidden".into(),
        ..Rejection::default()
    };
    test.items(EPOCH, vec![item(CHANNEL, edge_item::Body::Rejection(rejection))]);
    let told = test.deliveries();
    assert!(matches!(&told[..], [(1, ToShard::Rejected { user_id, .. })] if *user_id == user(2)), "{told:?}");
}
