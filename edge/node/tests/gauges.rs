//! The gauges that an operator sees: each counts what it says, as of the last heartbeat.

mod support;

use ringside_application::backend::{AdmitRefusal, AuthorizeAnswer};
use ringside_domain::lease::{FENCE, HEARTBEAT_INTERVAL};
use ringside_domain::page::ChannelRead;
use ringside_edge_protocol::{
    ConnectionRef, PresenceChange, PresenceRequest, ReadRequest, ShardId, SignalKind, SignalRequest, ToNode,
};
use ringside_node::Completion;
use ringside_types::{ChannelId, MessageId, Offset};
use ringside_wire::signals::PresenceStatus;
use support::{CHANNEL, EPOCH, OTHER, TestNode, session, submission, user};

/// A node whose only user is a member of the channel, which is live at record 10.
fn member() -> (TestNode, ConnectionRef) {
    let mut test = TestNode::holding();
    let connection = test.connect(1, 4, &[CHANNEL]);
    test.live(CHANNEL, 1, 10);
    test.deliveries();
    (test, connection)
}

/// What a gauge says after the next heartbeat.
fn gauge(test: &mut TestNode, name: &str) -> u64 {
    test.advance(HEARTBEAT_INTERVAL);
    test.beat();
    let all = test.counters.named();
    all.iter().find(|(known, ..)| *known == name).unwrap_or_else(|| panic!("no gauge {name}")).2
}

/// A gauge before something happens, and after it.
fn check(name: &str, before: u64, happens: impl FnOnce(&mut TestNode, ConnectionRef), after: u64) {
    let (mut test, connection) = member();
    assert_eq!(gauge(&mut test, name), before, "{name}");
    test.deliveries();
    happens(&mut test, connection);
    assert_eq!(gauge(&mut test, name), after, "{name}");
}

/// A handshake of somebody else.
fn admit(test: &mut TestNode, token: u64) {
    let (connection, number) = (ConnectionRef { shard: ShardId(0), token }, u128::from(token));
    test.request(ToNode::Admit { connection, user_id: user(number), session_id: session(number) });
}

fn signal(test: &mut TestNode, connection: ConnectionRef, kind: SignalKind) {
    let (frame_id, user_id, known_member) = (None, user(1), true);
    let asked = SignalRequest { connection, frame_id, user_id, channel_id: CHANNEL, kind, known_member };
    test.request(ToNode::Signal(asked));
}

fn presence(test: &mut TestNode, connection: ConnectionRef, change: PresenceChange) {
    let asked = PresenceRequest { connection, frame_id: None, user_id: user(1), change };
    test.request(ToNode::Presence(asked));
}

fn watch(test: &mut TestNode, connection: ConnectionRef, number: u128) {
    presence(test, connection, PresenceChange::Watch(vec![user(number)]));
}

fn set(test: &mut TestNode, connection: ConnectionRef, status: PresenceStatus) {
    presence(test, connection, PresenceChange::Set { status, status_message: None });
}

fn read(test: &mut TestNode, connection: ConnectionRef, channel_id: ChannelId) {
    let read = ChannelRead { channel_id, after: MessageId(5), after_change: None, limit: 10, reset_above: 0 };
    let asked = ReadRequest { connection, user_id: user(1), channels: vec![read], pages_max: 1 };
    test.request(ToNode::Read(asked));
}

#[test]
fn what_there_is_is_counted() {
    check("epoch", EPOCH.0, |_, _| {}, EPOCH.0);
    check("seated", 1, |test, _| test.advance(FENCE), 0);
    check("users", 1, |test, _| admit(test, 100), 2);
    check("users", 1, |test, connection| test.request(ToNode::Closed { connection }), 0);
    let other = |test: &mut TestNode, _| _ = test.connect(2, 5, &[CHANNEL, OTHER]);
    check("channels", 1, other, 2);
    check("deliveries_waiting", 0, |test, _| test.events(CHANNEL, &[(11, 10)]), 1);
}

#[test]
fn what_waits_for_the_backend_is_counted() {
    let handshakes =
        |count: u64| move |test: &mut TestNode, _| (0..count).for_each(|token| admit(test, 100 + token));
    check("admissions_waiting", 0, handshakes(64), 0);
    check("admissions_waiting", 0, handshakes(67), 3);
    let probe = |test: &mut TestNode, _| {
        admit(test, 100);
        let refused = |applicant| (applicant, Err(AdmitRefusal::TooManyConnections));
        let answers = test.applicants().into_iter().map(refused).collect();
        test.complete(Completion::Admitted(answers, Ok(Offset(0))));
    };
    check("users_probed", 0, probe, 1);
    let submit = |test: &mut TestNode, connection| {
        let submission = submission(test, connection, 1, "a");
        test.request(ToNode::Submit(submission));
    };
    check("senders_waiting", 0, submit, 1);
    let statuses = |test: &mut TestNode, connection| {
        set(test, connection, PresenceStatus::Dnd);
        set(test, connection, PresenceStatus::Online);
    };
    check("statuses_waiting", 0, statuses, 1);
    let watches = |test: &mut TestNode, connection| {
        watch(test, connection, 2);
        watch(test, connection, 3);
    };
    check("subscriptions_waiting", 0, watches, 1);
}

#[test]
fn reads_are_counted_whatever_they_wait_for() {
    let turns = |test: &mut TestNode, connection| (0..7).for_each(|_| read(test, connection, CHANNEL));
    check("reads_waiting", 0, turns, 3);
    check("reads_waiting", 0, |test, connection| read(test, connection, OTHER), 1);
    // Of a member whose shard does not know it yet.
    let for_the_word = |test: &mut TestNode, connection| {
        read(test, connection, OTHER);
        let (question, _) = test.question();
        let answer = AuthorizeAnswer { members: vec![true], ..Default::default() };
        test.complete(Completion::Authorized(question, Ok(answer)));
    };
    check("reads_waiting", 0, for_the_word, 1);
    let mut test = TestNode::holding();
    let connection = test.connect(1, 4, &[CHANNEL]);
    read(&mut test, connection, CHANNEL);
    assert_eq!(gauge(&mut test, "reads_waiting"), 1, "for the channel's join");
}

#[test]
fn signals_are_counted_while_they_wait_and_while_they_are_paced() {
    let lookups = |test: &mut TestNode, connection| {
        (1..=3).for_each(|id| signal(test, connection, SignalKind::Read(MessageId(id))));
    };
    check("signals_waiting", 0, lookups, 2);
    let receipt = |test: &mut TestNode, connection| {
        test.events(CHANNEL, &[(11, 10)]);
        signal(test, connection, SignalKind::Read(MessageId(11)));
    };
    check("receipts_paced", 0, receipt, 1);
    check("typists", 0, |test, connection| signal(test, connection, SignalKind::Typing), 1);
    let behind_an_append = |test: &mut TestNode, connection| {
        signal(test, connection, SignalKind::Typing);
        receipt(test, connection);
    };
    check("signals_waiting", 0, behind_an_append, 1);
}
