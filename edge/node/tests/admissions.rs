//! Letting connections in: after the joins, with what is known by then; and the refusals.

mod support;

use std::collections::BTreeSet;
use std::time::Duration;

use bytes::Bytes;
use ringside_application::backend::{self, ConnectionEvent};
use ringside_domain::feed::LINGER;
use ringside_edge_protocol::{AdmitRefusal, ConnectionRef, ShardId, ToNode, ToShard};
use ringside_node::{Batch, Completion, Effect};
use ringside_ports::log::Append;
use ringside_ports::log::Record;
use ringside_types::{ChannelId, Limits, MessageId, Offset};
use ringside_wire::records::{Command, Revoked, command, control};
use support::{CHANNEL, OTHER, TestNode, admission, session, user};

const CONNECTION: ConnectionRef = ConnectionRef { shard: ShardId(0), token: 4 };

fn ask(test: &mut TestNode, connection: ConnectionRef, number: u128) {
    test.request(ToNode::Admit { connection, user_id: user(number), session_id: session(number) });
}

fn answer(test: &mut TestNode, answer: &Result<backend::Admission, backend::AdmitRefusal>) {
    let applicants = test.applicants();
    let answers = applicants.into_iter().map(|applicant| (applicant, answer.clone())).collect();
    test.complete(Completion::Admitted(answers, Ok(Offset(0))));
}

fn refusals(test: &mut TestNode) -> Vec<(u64, AdmitRefusal)> {
    let refusal = |(_, mail)| match mail {
        ToShard::Refused { token, reason } => Some((token, reason)),
        _ => None,
    };
    test.deliveries().into_iter().filter_map(refusal).collect()
}

#[test]
fn a_connection_is_in_when_the_log_has_its_joins() {
    let mut test = TestNode::holding();
    ask(&mut test, CONNECTION, 1);
    answer(&mut test, &Ok(admission(1, &[CHANNEL, OTHER])));
    assert!(test.deliveries().is_empty(), "the joins are not confirmed");
    let appends = test.confirm_joins();
    let joined: usize = appends
        .iter()
        .map(|append| match ringside_wire::decode(append.payload.clone()) {
            Ok(Command { body: Some(command::Body::Joins(joins)) }) => joins.channels.len(),
            other => panic!("not joins: {other:?}"),
        })
        .sum();
    assert_eq!(joined, 2);
    let told = test.deliveries();
    let [(0, ToShard::Admitted { token: 4, profile, channels, .. })] = &told[..] else { panic!("{told:?}") };
    assert_eq!((&*profile.username, channels.len()), ("user1", 2));
    assert!(channels.iter().all(|channel| channel.last.is_none()), "their joins are not answered");
}

#[test]
fn joins_that_are_not_confirmed_are_appended_again() {
    let mut test = TestNode::holding();
    ask(&mut test, CONNECTION, 1);
    answer(&mut test, &Ok(admission(1, &[CHANNEL])));
    test.skip_policies();
    test.effect(|effect| {
        if matches!(effect, Effect::Append(Batch::Presence(_), _)) { Ok(()) } else { Err(effect.into()) }
    });
    test.refuse_append();
    assert!(test.effects().is_empty() && test.deliveries().is_empty());
    assert_eq!(test.node.next_timeout(), test.now.instant + Duration::from_millis(200));
    test.wait(Duration::from_millis(200));
    test.confirm_joins();
    assert!(matches!(test.deliveries()[..], [(0, ToShard::Admitted { .. })]));
}

/// What a batch of joins says: the channel's `n` in joins and, negative, in leaves.
fn turns(appends: &[Append], channel: ChannelId) -> Vec<i64> {
    let of_channel = |append: &Append| {
        let body = ringside_wire::decode::<Command>(append.payload.clone()).expect("a command").body;
        let (turns, sign) = match body {
            Some(command::Body::Joins(joins)) => (joins.channels, 1),
            Some(command::Body::Leaves(leaves)) => (leaves.channels, -1),
            other => panic!("neither joins nor leaves: {other:?}"),
        };
        let of_channel = turns.into_iter().filter(|turn| turn.channel_id[..] == channel.as_bytes()[..]);
        of_channel.map(|turn| turn.n as i64 * sign).collect::<Vec<_>>()
    };
    appends.iter().flat_map(of_channel).collect()
}

/// A node whose only user has gone: their channel will be left.
fn leaving() -> TestNode {
    let mut test = TestNode::holding();
    let connection = test.connect(1, 4, &[CHANNEL]);
    test.request(ToNode::Closed { connection });
    test.deliveries();
    test
}

#[test]
fn a_join_waits_for_the_leave_before_it() {
    let mut test = leaving();
    test.wait(LINGER);
    ask(&mut test, CONNECTION, 1);
    answer(&mut test, &Ok(admission(1, &[CHANNEL])));
    assert_eq!(turns(&test.confirm_joins(), CHANNEL), [-1]);
    let is_in = |test: &mut TestNode| {
        test.deliveries().iter().any(|(_, mail)| matches!(mail, ToShard::Admitted { .. }))
    };
    assert!(!is_in(&mut test), "the join is not in the log");
    assert_eq!(turns(&test.confirm_joins(), CHANNEL), [2]);
    assert!(is_in(&mut test));
}

#[test]
fn a_leave_and_a_join_in_one_batch_keep_their_order() {
    let mut test = leaving();
    ask(&mut test, CONNECTION, 2);
    answer(&mut test, &Ok(admission(2, &[OTHER])));
    test.wait(LINGER);
    ask(&mut test, ConnectionRef { token: 6, ..CONNECTION }, 1);
    answer(&mut test, &Ok(admission(1, &[CHANNEL])));
    assert!(turns(&test.confirm_joins(), CHANNEL).is_empty(), "another channel's join was under way");
    assert_eq!(turns(&test.confirm_joins(), CHANNEL), [-1, 3]);
}

#[test]
fn the_second_connection_finds_the_channel_live() {
    let mut test = TestNode::holding();
    test.connect(1, 4, &[CHANNEL]);
    test.live(CHANNEL, 1, 30);
    test.deliveries();
    test.connect(2, 5, &[CHANNEL]);
    let told = test.deliveries();
    let [(1, ToShard::Admitted { channels, .. })] = &told[..] else { panic!("{told:?}") };
    assert_eq!(channels[0].last, Some(MessageId(30)));
}

#[test]
fn each_refusal_says_why_and_leaves_nothing_behind() {
    for (cause, expected) in [
        (backend::AdmitRefusal::SessionEnded, AdmitRefusal::SessionEnded),
        (backend::AdmitRefusal::Unavailable, AdmitRefusal::Unavailable),
    ] {
        let mut test = TestNode::holding();
        ask(&mut test, CONNECTION, 1);
        answer(&mut test, &Err(cause));
        assert_eq!(refusals(&mut test), [(4, expected)]);
        test.request(ToNode::Closed { connection: CONNECTION });
        assert_eq!(test.effects(), ["append presence"], "{cause:?}: Presence never counted it");
    }
}

#[test]
fn who_has_too_many_waits_for_the_others_to_answer_once() {
    let mut test = TestNode::holding();
    test.connect(1, 4, &[]);
    test.deliveries();
    let second = ConnectionRef { shard: ShardId(1), token: 5 };
    ask(&mut test, second, 1);
    answer(&mut test, &Err(backend::AdmitRefusal::TooManyConnections));
    let told = test.deliveries();
    assert!(matches!(told[..], [(0, ToShard::Probe(asked))] if asked == user(1)), "{told:?}");
    test.wait(Duration::from_millis(1_299));
    assert!(!test.effects().contains(&"admit"));
    assert_eq!(test.node.next_timeout(), test.now.instant + Duration::from_millis(1));
    test.wait(Duration::from_millis(1));
    answer(&mut test, &Err(backend::AdmitRefusal::TooManyConnections));
    assert_eq!(refusals(&mut test), [(5, AdmitRefusal::TooManyConnections)], "they all live");
}

#[test]
fn so_many_wait_for_the_others_to_answer() {
    let mut test = TestNode::holding();
    let mut tokens = 0..;
    let mut is_refused = |number: u128| {
        let token = tokens.next().expect("a token");
        ask(&mut test, ConnectionRef { token, ..CONNECTION }, number);
        answer(&mut test, &Err(backend::AdmitRefusal::TooManyConnections));
        let refusals = refusals(&mut test);
        assert!(refusals.iter().all(|refusal| *refusal == (token, AdmitRefusal::TooManyConnections)));
        !refusals.is_empty()
    };
    assert_eq!((0..1_024).filter(|number| is_refused(*number)).count(), 0);
    assert!(is_refused(1_024), "one user more");
    assert_eq!([0; 4].map(&mut is_refused), [false, false, false, true], "of one user four wait");
}

#[test]
fn who_closed_while_the_backend_was_asked_is_not_counted_any_more() {
    let mut test = TestNode::holding();
    ask(&mut test, CONNECTION, 1);
    test.request(ToNode::Closed { connection: CONNECTION });
    let applicants = test.applicants();
    let counted = applicants[0].counted;
    let answers = applicants.into_iter().map(|applicant| (applicant, Ok(admission(1, &[CHANNEL]))));
    test.complete(Completion::Admitted(answers.collect(), Ok(Offset(0))));
    let changes = test.effect(|effect| match effect {
        Effect::ChangePresence(_, changes) => Ok(changes),
        other => Err(other.into()),
    });
    assert_eq!(changes, [ConnectionEvent::Disconnected(counted)]);
    assert!(test.effects().is_empty() && test.deliveries().is_empty());
}

#[test]
fn each_connection_is_counted_as_one_of_its_own() {
    let mut test = TestNode::holding();
    let of_shard = |shard| ConnectionRef { shard: ShardId(shard), ..CONNECTION };
    for connection in [of_shard(0), of_shard(1), ConnectionRef { token: 5, ..of_shard(0) }] {
        ask(&mut test, connection, 1);
    }
    let mut numbers = BTreeSet::new();
    while test.effects().contains(&"admit") {
        numbers.extend(test.applicants().iter().map(|applicant| applicant.counted.number));
    }
    assert_eq!(numbers.len(), 3, "{numbers:?}");
}

#[test]
fn a_session_that_ends_meanwhile_keeps_its_connection_out() {
    let mut test = TestNode::holding();
    ask(&mut test, CONNECTION, 1);
    let revoked = Revoked {
        user_id: user(1).as_bytes().to_vec().into(),
        session_id: session(1).as_bytes().to_vec().into(),
    };
    test.control(control::Body::Revoked(revoked));
    answer(&mut test, &Ok(admission(1, &[])));
    assert_eq!(refusals(&mut test), [(4, AdmitRefusal::SessionEnded)]);
    assert!(test.effects().contains(&"change presence"), "Presence had counted it");
}

#[test]
fn handshakes_beyond_a_user_s_budget_are_refused_with_a_time() {
    let limits = Limits { frame_units_per_second: 200, frame_units_burst: 200, ..Limits::default() };
    let mut test = TestNode::with(limits);
    test.hold();
    ask(&mut test, CONNECTION, 1);
    ask(&mut test, ConnectionRef { token: 6, ..CONNECTION }, 1);
    let refused = refusals(&mut test);
    assert_eq!(refused, [(6, AdmitRefusal::RateLimited { retry_after_ms: 1_000 })]);
}

#[test]
fn so_many_are_asked_about_in_one_call_and_so_many_at_once() {
    let mut test = TestNode::holding();
    for number in 0..68 {
        test.node.handle_request(
            test.now,
            ToNode::Admit {
                connection: ConnectionRef { token: number, ..CONNECTION },
                user_id: user(u128::from(number)),
                session_id: session(u128::from(number)),
            },
        );
    }
    let mut calls = Vec::new();
    while test.effects().contains(&"admit") {
        calls.push(test.applicants());
    }
    let sizes: Vec<usize> = calls.iter().map(Vec::len).collect();
    assert_eq!(sizes, [8; 8]);
    let refused = calls.remove(0).into_iter();
    let answers = refused.map(|applicant| (applicant, Err(backend::AdmitRefusal::Unavailable)));
    test.complete(Completion::Admitted(answers.collect(), Ok(Offset(0))));
    assert_eq!(test.applicants().len(), 4, "one call ended, the next begins");
}

/// Its user may have seen a message and its deletion at another edge: were the connection in before this one has read as
/// far, it would be shown the message again. (Found by the simulator, seed 8.)
#[test]
fn a_connection_is_in_once_the_records_to_this_edge_are_read_so_far() {
    let admitted = |test: &mut TestNode| {
        let told = test.deliveries();
        told.into_iter().filter(|(_, mail)| matches!(mail, ToShard::Admitted { .. })).count()
    };
    let mut test = TestNode::holding();
    ask(&mut test, CONNECTION, 1);
    let applicants = test.applicants();
    let answers = applicants.into_iter().map(|applicant| (applicant, Ok(admission(1, &[]))));
    test.complete(Completion::Admitted(answers.collect(), Ok(Offset(2))));
    let record = |offset| Record { offset: Offset(offset), time: test.now.wall, payload: Bytes::new() };
    let records = [record(0), record(1)];
    let now = test.now;
    test.node.handle_records(now, vec![records[0].clone()]);
    assert_eq!(admitted(&mut test), 0);
    test.node.handle_records(now, vec![records[1].clone()]);
    assert_eq!(admitted(&mut test), 1);
}

#[test]
fn nobody_is_let_in_where_the_log_does_not_say_how_far_it_is() {
    let mut test = TestNode::holding();
    ask(&mut test, CONNECTION, 1);
    let applicants = test.applicants();
    let answers = applicants.into_iter().map(|applicant| (applicant, Ok(admission(1, &[]))));
    test.complete(Completion::Admitted(answers.collect(), Err(support::away())));
    assert_eq!(refusals(&mut test), [(CONNECTION.token, AdmitRefusal::Unavailable)]);
    assert!(test.effects().contains(&"change presence"), "Presence counts it no more: {:?}", test.effects());
}
