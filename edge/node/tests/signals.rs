//! Receipts and typing: paced, looked up, refused; and told to the shards.

mod support;

use std::time::Duration;

use ringside_application::backend::{AuthorizeAnswer, BackendError, Position};
use ringside_edge_protocol::{
    ConnectionRef, PresenceChange, PresenceRequest, Signal, SignalKind, SignalRequest, ToNode, ToShard,
};
use ringside_node::{Batch, Completion, Effect};
use ringside_types::{ErrorCode, MessageId, Topic};
use ringside_wire::records::{
    Channel, Membership, MembershipKind, Settings, Signals, Status, TypingSign, control, edge_item, signal,
};
use ringside_wire::signals::PresenceStatus;
use support::{CHANNEL, EPOCH, TestNode, away, item, submission, user};

fn member() -> (TestNode, ConnectionRef) {
    let mut test = TestNode::holding();
    let connection = test.connect(1, 4, &[CHANNEL]);
    test.live(CHANNEL, 1, 10);
    test.confirm_append();
    test.deliveries();
    (test, connection)
}

fn say(test: &mut TestNode, connection: ConnectionRef, kind: SignalKind) {
    test.request(ToNode::Signal(SignalRequest {
        connection,
        frame_id: Some("s".into()),
        user_id: user(1),
        channel_id: CHANNEL,
        kind,
        known_member: true,
    }));
}

fn set(test: &mut TestNode, connection: ConnectionRef, status: PresenceStatus) {
    let change = PresenceChange::Set { status, status_message: None };
    let asked = PresenceRequest { connection, frame_id: None, user_id: user(1), change };
    test.request(ToNode::Presence(asked));
}

/// What goes to the log: it is confirmed.
fn logged(test: &mut TestNode) -> Vec<signal::Body> {
    let (batch, appends) = test.effect(|effect| match effect {
        Effect::Append(batch @ Batch::Signals(_), appends) => Ok((batch, appends)),
        other => Err(other.into()),
    });
    test.complete(Completion::Appended(batch, Ok(())));
    assert!(appends.iter().all(|append| append.topic == Topic::MessagesStatus));
    let signals = appends
        .into_iter()
        .flat_map(|append| ringside_wire::decode::<Signals>(append.payload).expect("signals").items);
    signals.filter_map(|signal| signal.body).collect()
}

fn refusals(test: &mut TestNode) -> Vec<ErrorCode> {
    let of_mail = |(_, mail)| match mail {
        ToShard::SignalRefused { code, .. } => Some(code),
        _ => None,
    };
    test.deliveries().into_iter().filter_map(of_mail).collect()
}

#[test]
fn a_receipt_of_what_was_handed_on_asks_nobody() {
    let (mut test, connection) = member();
    test.events(CHANNEL, &[(11, 10)]);
    say(&mut test, connection, SignalKind::Read(MessageId(11)));
    let logged = logged(&mut test);
    let [signal::Body::Receipt(receipt)] = &logged[..] else { panic!("{logged:?}") };
    assert_eq!((receipt.read_id, receipt.read_seq), (11, 11));
}

#[test]
fn a_receipt_of_another_message_is_looked_up() {
    let table = [
        (Ok(Position::At(5)), None),
        (Ok(Position::AboveHead), Some(ErrorCode::BadRequest)),
        (Ok(Position::Unknown), Some(ErrorCode::NotFound)),
        (Err(BackendError("away".into())), Some(ErrorCode::Unavailable)),
    ];
    for (position, expected) in table {
        let (mut test, connection) = member();
        say(&mut test, connection, SignalKind::Read(MessageId(5)));
        let (question, asked) = test.question();
        assert_eq!((asked.members.len(), asked.positions), (0, vec![(CHANNEL, MessageId(5))]));
        let answered = position
            .clone()
            .map(|position| AuthorizeAnswer { positions: vec![position], ..Default::default() });
        test.complete(Completion::Authorized(question, answered));
        assert_eq!(refusals(&mut test), Vec::from_iter(expected), "{position:?}");
        assert_eq!(test.effects().contains(&"append signals"), expected.is_none(), "{position:?}");
    }
}

#[test]
fn a_stranger_is_looked_up_and_refused() {
    let (mut test, connection) = member();
    let signal = SignalRequest {
        connection,
        frame_id: None,
        user_id: user(9),
        channel_id: CHANNEL,
        kind: SignalKind::Typing,
        known_member: false,
    };
    test.request(ToNode::Signal(signal));
    let (question, asked) = test.question();
    assert_eq!(asked.members, [(CHANNEL, user(9))]);
    let answered = AuthorizeAnswer { members: vec![false], ..Default::default() };
    test.complete(Completion::Authorized(question, Ok(answered)));
    assert_eq!(refusals(&mut test), [ErrorCode::NotAMember]);
}

#[test]
fn of_many_receipts_one_a_second_goes_and_the_last_always() {
    let (mut test, connection) = member();
    let chain: Vec<(u64, u64)> = (11..=30).map(|id| (id, id - 1)).collect();
    test.events(CHANNEL, &chain);
    for id in 11..=30 {
        say(&mut test, connection, SignalKind::Read(MessageId(id)));
    }
    assert_eq!(logged(&mut test).len(), 1);
    assert!(!test.effects().contains(&"append signals"));
    let over = test.now.instant + Duration::from_secs(1);
    test.advance(Duration::from_millis(600));
    test.beat();
    assert_eq!(test.node.next_timeout(), over);
    test.wait(Duration::from_millis(400));
    let logged = logged(&mut test);
    assert!(matches!(&logged[..], [signal::Body::Receipt(receipt)] if receipt.read_id == 30), "{logged:?}");
}

#[test]
fn only_whom_neither_the_shard_nor_the_node_knows_is_looked_up() {
    for (known_member, number, is_looked_up) in [(true, 9, false), (false, 1, false), (false, 9, true)] {
        let (mut test, connection) = member();
        test.request(ToNode::Signal(SignalRequest {
            connection,
            frame_id: None,
            user_id: user(number),
            channel_id: CHANNEL,
            kind: SignalKind::Typing,
            known_member,
        }));
        assert_eq!(test.effects().contains(&"ask signals"), is_looked_up, "{known_member}: user {number}");
        assert_eq!(
            test.effects().contains(&"append signals"),
            !is_looked_up,
            "{known_member}: user {number}"
        );
    }
}

#[test]
fn so_many_signals_wait_to_be_looked_up() {
    let (mut test, connection) = member();
    let mut ids = (1_000..).map(MessageId);
    let mut say_next =
        |test: &mut TestNode| say(test, connection, SignalKind::Read(ids.next().expect("an id")));
    for _ in 0..=16_384 {
        say_next(&mut test);
    }
    assert_eq!(refusals(&mut test), [], "one is looked up");
    say_next(&mut test);
    assert_eq!(refusals(&mut test), [ErrorCode::Unavailable]);
}

#[test]
fn nobody_types_in_a_dm_that_is_closed() {
    let (mut test, connection) = member();
    for (version, closed) in [(2, true), (3, false)] {
        let settings = Some(Settings { closed, ..Settings::default() });
        test.control(control::Body::Membership(Membership {
            channel_id: CHANNEL.as_bytes().to_vec().into(),
            version,
            kind: MembershipKind::Closed.into(),
            channel: Some(Channel { r#type: "dm".into(), settings, ..Channel::default() }),
            ..Membership::default()
        }));
        say(&mut test, connection, SignalKind::Typing);
        let expected = closed.then_some(ErrorCode::Forbidden);
        assert_eq!(refusals(&mut test), Vec::from_iter(expected), "closed: {closed}");
        assert_eq!(test.effects().contains(&"append signals"), !closed, "closed: {closed}");
    }
}

#[test]
fn whoever_sends_or_goes_or_seems_to_be_gone_has_stopped_typing() {
    type Way = fn(&mut TestNode, ConnectionRef);
    let sends: Way = |test, connection| {
        let submission = submission(test, connection, 1, "a");
        test.request(ToNode::Submit(submission));
    };
    let goes: Way = |test, connection| test.request(ToNode::Closed { connection });
    let seems_gone: Way = |test, connection| set(test, connection, PresenceStatus::Offline);
    for (name, way) in [("sends", sends), ("goes", goes), ("seems to be gone", seems_gone)] {
        let (mut test, connection) = member();
        say(&mut test, connection, SignalKind::Typing);
        assert_eq!(logged(&mut test), [signal::Body::Typing(true)]);
        test.wait(Duration::from_secs(1));
        way(&mut test, connection);
        assert_eq!(logged(&mut test), [signal::Body::Typing(false)], "{name}");
    }
}

#[test]
fn whoever_seems_to_be_gone_is_not_seen_to_type() {
    let (mut test, connection) = member();
    set(&mut test, connection, PresenceStatus::Offline);
    say(&mut test, connection, SignalKind::Typing);
    assert!(!test.effects().contains(&"append signals"));
    assert_eq!(refusals(&mut test), [], "nor are they told");
    set(&mut test, connection, PresenceStatus::Online);
    say(&mut test, connection, SignalKind::Typing);
    assert_eq!(logged(&mut test), [signal::Body::Typing(true)]);
    // Unless all their connections say so, they are there.
    let (mut test, connection) = member();
    test.connect(1, 6, &[CHANNEL]);
    set(&mut test, connection, PresenceStatus::Offline);
    say(&mut test, connection, SignalKind::Typing);
    assert_eq!(logged(&mut test), [signal::Body::Typing(true)]);
}

#[test]
fn the_shards_are_told_who_types_until_their_time_is_over() {
    let (mut test, _) = member();
    let sign = TypingSign { user_id: user(2).as_bytes().to_vec().into(), stopped: false };
    test.items(EPOCH, vec![item(CHANNEL, edge_item::Body::Typing(sign))]);
    let typing = |test: &mut TestNode| {
        let of_mail = |(shard, mail)| match mail {
            ToShard::Signals { signals, .. } if shard == 0 => Some(signals),
            _ => None,
        };
        let told = test.deliveries().into_iter().find_map(of_mail).expect("told");
        match &told[0] {
            Signal::Typing { users, .. } => users.clone(),
            other => panic!("{other:?}"),
        }
    };
    assert_eq!(typing(&mut test), [user(2)]);
    for _ in 0..12 {
        test.advance(Duration::from_millis(500));
        test.beat();
    }
    assert_eq!(typing(&mut test), []);
}

#[test]
fn the_shards_are_told_how_far_members_have_come() {
    let (mut test, _) = member();
    let status = |user_id: &[u8]| {
        item(
            CHANNEL,
            edge_item::Body::Status(Status {
                user_id: user_id.to_vec().into(),
                last_delivered_id: 12,
                last_read_id: 11,
                own_devices_only: true,
                hidden_from: vec![user(3).as_bytes().to_vec().into()],
            }),
        )
    };
    test.items(EPOCH, vec![status(b"no id"), status(user(2).as_bytes())]);
    let of_mail = |(shard, mail)| match mail {
        ToShard::Signals { signals, .. } if shard == 0 => Some(signals),
        _ => None,
    };
    let told = test.deliveries().into_iter().find_map(of_mail).expect("told");
    let [
        Signal::Status {
            channel_id,
            user_id,
            last_delivered_id,
            last_read_id,
            own_devices_only,
            hidden_from,
        },
    ] = &told[..]
    else {
        panic!("{told:?}")
    };
    assert_eq!((*channel_id, *user_id, *own_devices_only), (CHANNEL, user(2), true));
    assert_eq!((*last_delivered_id, *last_read_id), (MessageId(12), MessageId(11)));
    assert_eq!(hidden_from[..], [user(3)]);
}

#[test]
fn what_the_log_refused_goes_with_it() {
    let (mut test, connection) = member();
    test.events(CHANNEL, &[(11, 10)]);
    say(&mut test, connection, SignalKind::Delivered(MessageId(11)));
    let refused = test.appended();
    test.complete(Completion::Appended(refused.0, Err(away())));
    assert_eq!(test.node.finish(false), refused.1, "it waits to be tried again");
}

#[test]
fn what_is_held_goes_when_the_edge_stops() {
    let (mut test, connection) = member();
    test.events(CHANNEL, &[(11, 10), (12, 11)]);
    for id in [11, 12] {
        say(&mut test, connection, SignalKind::Delivered(MessageId(id)));
    }
    logged(&mut test);
    let held = test.node.finish(false);
    let signals = ringside_wire::decode::<Signals>(held[0].payload.clone()).expect("signals");
    let [signal::Body::Receipt(receipt)] =
        &signals.items.iter().filter_map(|one| one.body).collect::<Vec<_>>()[..]
    else {
        panic!("{signals:?}")
    };
    assert_eq!(receipt.delivered_id, 12);
}
