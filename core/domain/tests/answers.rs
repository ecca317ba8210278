//! What a process is told that waits for what its commands come to.

#[expect(dead_code, reason = "the tests of replay use the rest")]
mod support;

use ringside_types::{MessageId, RINGSIDE_EPOCH_MS, UnixMillis};
use ringside_wire::records::{
    Amend, Channel, Member, Membership, MembershipKind, Origin, Reaction, Send, Settings, amend, command,
};
use support::{Death, PARTITION, Record, run};
use uuid::Uuid;

const TIME: UnixMillis = UnixMillis(RINGSIDE_EPOCH_MS + 1_000_000);
const AUTHOR: u128 = 1;
const OUTSIDER: u128 = 2;

fn id(number: u128) -> Vec<u8> {
    Uuid::from_u128(number).as_bytes().to_vec()
}

fn origin(request: u64) -> Option<Origin> {
    Some(Origin { slot: 3, epoch: 1, request, ..Origin::default() })
}

/// The id of the record at this place.
fn record(place: usize) -> u64 {
    (0..=place).fold(MessageId::ZERO, |last, _| MessageId::following(last, TIME, PARTITION)).0
}

fn send(client: u128, sender: u128, request: u64) -> command::Body {
    command::Body::Send(Send {
        channel_id: id(0).into(),
        sender_id: id(sender).into(),
        client_id: id(client).into(),
        content: "hello".into(),
        origin: origin(request),
        ..Send::default()
    })
}

fn react(client: u128, request: u64, removed: bool) -> command::Body {
    let reaction = Reaction { emoji: "+1".into(), removed };
    command::Body::Amend(Amend {
        channel_id: id(0).into(),
        sender_id: id(AUTHOR).into(),
        client_id: id(client).into(),
        message_id: record(1),
        origin: origin(request),
        change: Some(amend::Change::Reaction(reaction)),
        ..Amend::default()
    })
}

fn log(commands: Vec<command::Body>) -> Vec<Record> {
    let created = command::Body::Membership(Membership {
        channel_id: id(0).into(),
        version: 1,
        actor_id: id(AUTHOR).into(),
        kind: MembershipKind::Created.into(),
        channel: Some(Channel {
            r#type: "group".into(),
            settings: Some(Settings::default()),
            ..Channel::default()
        }),
        members: vec![Member { user_id: id(AUTHOR).into(), role: "owner".into() }],
    });
    [created].into_iter().chain(commands).map(|body| Record { time: TIME, body }).collect()
}

#[test]
fn whoever_waits_is_told_what_came_of_each_command() {
    let log = log(vec![
        send(10, AUTHOR, 1),
        send(10, AUTHOR, 2),
        send(11, OUTSIDER, 3),
        react(12, 4, false),
        react(13, 5, false),
        react(12, 6, false),
        send(14, AUTHOR, 0),
    ]);
    let told = |request, made, code: &str| (request, made, code.to_owned());
    let expected = [
        told(1, record(1), ""),
        told(2, record(1), ""),
        told(3, 0, "not_a_member"),
        told(4, record(4), ""),
        told(5, 0, ""),
        told(6, record(4), ""),
    ];
    for batches in [vec![log.len()], (1..=log.len()).collect()] {
        let outcome = run(&log, &batches, &[]);
        assert_eq!(outcome.answers, expected, "in batches up to {batches:?}");
        assert!(outcome.rejections.is_empty(), "a refusal that is an answer is no rejection");
    }
}

#[test]
fn after_a_crash_they_are_told_of_what_was_made() {
    let log = log(vec![send(10, AUTHOR, 1), react(12, 2, false)]);
    for death in [Death::Rows, Death::Heads, Death::Edges, Death::Progress] {
        let outcome = run(&log, &[log.len()], &[Some(death)]);
        let made = |answer: (u64, u64)| outcome.answers.iter().any(|one| (one.0, one.1) == answer);
        assert!(made((1, record(1))) && made((2, record(2))), "{death:?}: {:?}", outcome.answers);
    }
}
