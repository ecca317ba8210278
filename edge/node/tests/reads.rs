//! Pages that connections wait for.

mod support;

use std::time::Duration;

use ringside_application::backend::{AuthorizeAnswer, ReadAnswer, ReadRequest};
use ringside_domain::page::{ChannelPage, ChannelRead, ReadOutcome};
use ringside_domain::rows::HeadRow;
use ringside_edge_protocol::{ConnectionRef, ReadRequest as Asked, ToNode, ToShard};
use ringside_node::{Completion, Effect, Reader};
use ringside_types::{ChannelId, ErrorCode, MessageId};
use ringside_wire::records::{Member, MemberAdded, Membership, MembershipKind, control};
use support::{CHANNEL, OTHER, TestNode, user};
use uuid::Uuid;

fn read(channel_id: ChannelId) -> ChannelRead {
    ChannelRead { channel_id, after: MessageId(5), after_change: None, limit: 10, reset_above: 0 }
}

fn page(channel: ChannelId) -> ReadOutcome {
    ReadOutcome::Page(Box::new(ChannelPage {
        messages: Vec::new(),
        tallies: Vec::new(),
        senders: Vec::new(),
        changes: Vec::new(),
        sees_above: MessageId::ZERO,
        edited: Vec::new(),
        has_more: false,
        reset: false,
        head: HeadRow::empty(channel),
        unread_count: 0,
    }))
}

fn ask(test: &mut TestNode, connection: ConnectionRef, channels: &[ChannelId]) {
    let channels: Vec<ChannelRead> = channels.iter().copied().map(read).collect();
    let pages_max = channels.len();
    test.request(ToNode::Read(Asked { connection, user_id: user(1), channels, pages_max }));
}

fn reading(test: &mut TestNode) -> (Vec<Reader>, ReadRequest) {
    test.effect(|effect| match effect {
        Effect::ReadPages(readers, asked) => Ok((readers, asked)),
        other => Err(other.into()),
    })
}

/// Answers a read with a page of each channel.
fn answer(test: &mut TestNode) {
    let (readers, asked) = reading(test);
    let of_reader = |reader: &ringside_application::backend::ReaderRequest| {
        reader.channels.iter().map(|read| Ok(page(read.channel_id))).collect()
    };
    let answer = ReadAnswer { readers: asked.readers.iter().map(of_reader).collect(), gaps: Vec::new() };
    test.complete(Completion::PagesRead(readers, answer));
}

/// The channels of pages that came, and refusals.
fn answers(test: &mut TestNode) -> (Vec<ChannelId>, Vec<(ChannelId, ErrorCode)>) {
    let (mut pages, mut refused) = (Vec::new(), Vec::new());
    for (_, mail) in test.deliveries() {
        match mail {
            ToShard::Pages { pages: of_one, .. } => {
                pages.extend(of_one.into_iter().map(|(read, _)| read.channel_id));
            }
            ToShard::PageRefused { channel_id, code, .. } => refused.push((channel_id, code)),
            _ => {}
        }
    }
    (pages, refused)
}

/// A member of a hundred channels, all of them live.
fn with_channels() -> (TestNode, ConnectionRef, Vec<ChannelId>) {
    let mut test = TestNode::holding();
    let channels: Vec<ChannelId> = (0..100).map(|number| ChannelId(Uuid::from_u128(500 + number))).collect();
    let connection = test.connect(1, 4, &channels);
    for (n, channel) in channels.iter().enumerate() {
        test.live(*channel, n as u64 + 1, 9);
    }
    test.deliveries();
    (test, connection, channels)
}

#[test]
fn a_hundred_channels_are_one_call_and_one_answer() {
    let (mut test, connection, channels) = with_channels();
    ask(&mut test, connection, &channels[..32]);
    answer(&mut test);
    let told = test.deliveries();
    assert!(
        matches!(&told[..], [(0, ToShard::Pages { token: 4, pages, .. })] if pages.len() == 32),
        "{told:?}"
    );
    let channels: Vec<ChannelRead> = channels.iter().copied().map(read).collect();
    test.request(ToNode::Read(Asked { connection, user_id: user(1), channels, pages_max: 8 }));
    let (readers, asked) = reading(&mut test);
    assert_eq!((asked.readers[0].channels.len(), asked.readers[0].pages_max), (100, 8));
    let outcomes = asked.readers[0].channels.iter().map(|_| Ok(ReadOutcome::Deferred)).collect();
    test.complete(Completion::PagesRead(readers, ReadAnswer { readers: vec![outcomes], gaps: Vec::new() }));
    assert_eq!(answers(&mut test).0.len(), 100, "what is deferred is said, too");
}

/// A connection's budget of pages counts for all channels that it asks about, whenever each of them can be read.
#[test]
fn channels_that_wait_for_their_joins_bring_no_more_pages_than_were_asked_for() {
    let mut test = TestNode::holding();
    let channels: Vec<ChannelId> = (0..20).map(|number| ChannelId(Uuid::from_u128(500 + number))).collect();
    let connection = test.connect(1, 4, &channels);
    for (n, channel) in channels[..10].iter().enumerate() {
        test.live(*channel, n as u64 + 1, 9);
    }
    let ask = |test: &mut TestNode, channels: &[ChannelId]| {
        let channels = channels.iter().copied().map(read).collect();
        test.request(ToNode::Read(Asked { connection, user_id: user(1), channels, pages_max: 8 }));
    };
    ask(&mut test, &channels);
    let (_, asked) = reading(&mut test);
    assert_eq!((asked.readers[0].channels.len(), asked.readers[0].pages_max), (10, 8));
    test.live(channels[10], 11, 9);
    let (_, asked) = reading(&mut test);
    assert_eq!((asked.readers[0].channels.len(), asked.readers[0].pages_max), (1, 0), "deferred, or current");
    ask(&mut test, &channels[12..20]);
    test.live(channels[12], 13, 9);
    let (_, asked) = reading(&mut test);
    assert_eq!(asked.readers.iter().map(|reader| reader.pages_max).collect::<Vec<_>>(), [0, 1]);
}

#[test]
fn calls_are_few_and_pages_in_them_bounded() {
    let (mut test, connection, channels) = with_channels();
    for channel in &channels {
        ask(&mut test, connection, &[*channel]);
    }
    let mut sizes = Vec::new();
    while test.effects().contains(&"read pages") {
        sizes.push(reading(&mut test).0.len());
    }
    assert_eq!(sizes.iter().sum::<usize>(), 4, "each was alone when it came, and a few calls are under way");

    let (mut test, connection, channels) = with_channels();
    for channel in &channels {
        let channels = vec![read(*channel)];
        let asked = Asked { connection, user_id: user(1), channels, pages_max: 1 };
        test.node.handle_request(test.now, ToNode::Read(asked));
    }
    let mut sizes = Vec::new();
    while test.effects().contains(&"read pages") {
        sizes.push(reading(&mut test).0.len());
    }
    assert_eq!(sizes, [32, 32, 32, 4]);

    let (mut test, connection, channels) = with_channels();
    for _ in 0..12 {
        let channels = channels.iter().copied().map(read).collect();
        let asked = Asked { connection, user_id: user(1), channels, pages_max: 1 };
        test.node.handle_request(test.now, ToNode::Read(asked));
    }
    let mut sizes = Vec::new();
    while test.effects().contains(&"read pages") {
        sizes.push(reading(&mut test).0.len());
    }
    assert_eq!(sizes, [10, 2], "of a hundred channels each");
}

#[test]
fn a_call_that_ends_lets_the_next_begin() {
    let (mut test, connection, channels) = with_channels();
    for channel in &channels {
        ask(&mut test, connection, &[*channel]);
    }
    for _ in 0..4 {
        answer(&mut test);
    }
    let sizes: Vec<usize> = (0..3).map(|_| reading(&mut test).0.len()).collect();
    assert_eq!(sizes, [32, 32, 32]);
    assert!(!test.effects().contains(&"read pages"), "all are under way");
}

#[test]
fn so_many_reads_wait() {
    let mut test = TestNode::holding();
    let connection = test.connect(1, 4, &[CHANNEL]);
    for _ in 0..65_536 {
        ask(&mut test, connection, &[CHANNEL]);
    }
    assert_eq!(answers(&mut test), (vec![], vec![]));
    ask(&mut test, connection, &[CHANNEL]);
    assert_eq!(answers(&mut test), (vec![], vec![(CHANNEL, ErrorCode::Unavailable)]));
    test.live(CHANNEL, 1, 9);
    answer(&mut test);
    ask(&mut test, connection, &[CHANNEL]);
    assert_eq!(answers(&mut test), (vec![CHANNEL; 32], vec![]), "there is room again");
}

#[test]
fn a_channel_that_is_not_live_is_read_once_it_is() {
    let mut test = TestNode::holding();
    let connection = test.connect(1, 4, &[CHANNEL]);
    ask(&mut test, connection, &[CHANNEL]);
    assert!(!test.effects().contains(&"read pages"));
    test.live(CHANNEL, 1, 9);
    answer(&mut test);
    assert_eq!(answers(&mut test), (vec![CHANNEL], vec![]));
}

#[test]
fn a_join_that_is_never_answered_refuses_its_reads() {
    let mut test = TestNode::holding();
    let connection = test.connect(1, 4, &[CHANNEL]);
    ask(&mut test, connection, &[CHANNEL]);
    test.deliveries();
    test.wait(Duration::from_secs(11));
    assert_eq!(answers(&mut test), (vec![], vec![(CHANNEL, ErrorCode::Unavailable)]));
}

/// The partition's word that user 1 is a member of the other channel.
fn added() -> control::Body {
    let members = vec![Member { user_id: user(1).as_bytes().to_vec().into(), role: "member".into() }];
    let membership = Membership {
        channel_id: OTHER.as_bytes().to_vec().into(),
        version: 2,
        kind: MembershipKind::Added.into(),
        members,
        ..Membership::default()
    };
    control::Body::MemberAdded(MemberAdded {
        channel_id: OTHER.as_bytes().to_vec().into(),
        from_id: 9,
        membership: Some(membership),
        ..MemberAdded::default()
    })
}

/// The backend's answer to the question whether user 1 is a member of the other channel.
fn answer_members(test: &mut TestNode, is_member: bool) {
    let (question, asked) = test.question();
    assert_eq!(asked.members, [(OTHER, user(1))]);
    let answered = AuthorizeAnswer { members: vec![is_member], ..Default::default() };
    test.complete(Completion::Authorized(question, Ok(answered)));
}

#[test]
fn a_channel_made_a_moment_ago_waits_for_the_word_of_it() {
    for (is_member, expected) in
        [(true, (vec![OTHER], vec![])), (false, (vec![], vec![(OTHER, ErrorCode::NotAMember)]))]
    {
        let mut test = TestNode::holding();
        let connection = test.connect(1, 4, &[]);
        ask(&mut test, connection, &[OTHER]);
        answer_members(&mut test, is_member);
        if is_member {
            test.control(added());
            test.confirm_members();
            assert!(!test.effects().contains(&"read pages"), "its join is not answered");
            test.confirm_joins();
            test.live(OTHER, 1, 9);
            answer(&mut test);
        }
        assert_eq!(answers(&mut test), expected);
    }
}

#[test]
fn a_channel_that_others_listen_to_waits_for_the_word_of_the_reader() {
    for word_comes_first in [false, true] {
        let mut test = TestNode::holding();
        test.connect(2, 5, &[OTHER]);
        test.live(OTHER, 1, 9);
        let connection = test.connect(1, 4, &[]);
        ask(&mut test, connection, &[OTHER]);
        if word_comes_first {
            test.control(added());
            test.confirm_members();
            assert!(!test.effects().contains(&"read pages"), "the backend has not said so");
            answer_members(&mut test, true);
        } else {
            answer_members(&mut test, true);
            assert!(!test.effects().contains(&"read pages"), "its shard would have no place for the page");
            test.control(added());
            test.confirm_members();
        }
        answer(&mut test);
        assert_eq!(answers(&mut test), (vec![OTHER], vec![]), "word comes first: {word_comes_first}");
    }
}

#[test]
fn a_reader_whom_nobody_knew_brings_no_more_pages_than_were_asked_for() {
    for pages_max in [0, 1] {
        let mut test = TestNode::holding();
        test.connect(2, 5, &[OTHER]);
        test.live(OTHER, 1, 9);
        let connection = test.connect(1, 4, &[]);
        let asked = Asked { connection, user_id: user(1), channels: vec![read(OTHER)], pages_max };
        test.request(ToNode::Read(asked));
        answer_members(&mut test, true);
        test.control(added());
        test.confirm_members();
        assert_eq!(reading(&mut test).1.readers[0].pages_max, pages_max);
    }
}

#[test]
fn a_reader_whom_nobody_knew_waits_no_longer_than_others() {
    for word_comes in [false, true] {
        let mut test = TestNode::holding();
        let connection = test.connect(1, 4, &[]);
        ask(&mut test, connection, &[OTHER]);
        answer_members(&mut test, true);
        if word_comes {
            test.control(added());
            test.confirm_members();
        }
        test.wait(Duration::from_secs(9));
        assert_eq!(answers(&mut test), (vec![], vec![]), "word comes: {word_comes}");
        test.wait(Duration::from_secs(1));
        let refused = vec![(OTHER, ErrorCode::Unavailable)];
        assert_eq!(answers(&mut test), (vec![], refused), "word comes: {word_comes}");
    }
}

#[test]
fn whoever_is_removed_while_a_page_is_read_does_not_get_it() {
    let (mut test, connection, channels) = with_channels();
    ask(&mut test, connection, &channels[..2]);
    let removed = Membership {
        channel_id: channels[0].as_bytes().to_vec().into(),
        version: 2,
        kind: MembershipKind::Removed.into(),
        members: vec![Member { user_id: user(1).as_bytes().to_vec().into(), role: "member".into() }],
        ..Membership::default()
    };
    test.control(control::Body::Membership(removed));
    answer(&mut test);
    assert_eq!(answers(&mut test), (vec![channels[1]], vec![(channels[0], ErrorCode::NotAMember)]));
}

#[test]
fn pages_that_come_outside_the_fence_are_refused() {
    let (mut test, connection, channels) = with_channels();
    ask(&mut test, connection, &channels[..1]);
    test.advance(Duration::from_secs(2));
    answer(&mut test);
    assert_eq!(answers(&mut test), (vec![], vec![(channels[0], ErrorCode::Unavailable)]));
}

#[test]
fn one_channel_that_can_not_be_read_harms_no_other() {
    let (mut test, connection, channels) = with_channels();
    ask(&mut test, connection, &channels[..3]);
    let (readers, _) = reading(&mut test);
    let failed = Err(ringside_application::backend::BackendError("damaged".into()));
    let outcomes = vec![Ok(page(channels[0])), failed, Ok(page(channels[2]))];
    test.complete(Completion::PagesRead(readers, ReadAnswer { readers: vec![outcomes], gaps: Vec::new() }));
    let expected = (vec![channels[0], channels[2]], vec![(channels[1], ErrorCode::Unavailable)]);
    assert_eq!(answers(&mut test), expected);
}
