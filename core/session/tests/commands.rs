//! What the node is asked for each command, and when a command is refused at once.

mod support;

use ringside_session::delivery::{Delivery, Outcome};
use ringside_session::limits::CONNECTION_COMMANDS_MAX;
use ringside_session::output::{Output, PresenceChange, SignalKind, Submission};
use ringside_types::authorization::Operation;
use ringside_types::{ErrorCode, Limits, MessageId, UserId};
use ringside_wire::records::{self, command};
use ringside_wire::signals::PresenceStatus;
use serde_json::{Value, json};
use support::{TestSession, USER, channel};
use uuid::Uuid;

const ID: &str = "6f9619ff-8b86-4011-b42d-00c04fc964ff";

fn send() -> Value {
    json!({"type": "message.send", "id": ID, "payload": {"channel_id": channel(1), "content": "hi"}})
}

#[test]
fn a_command_names_who_and_where_and_what_it_does() {
    let target = |more: Value| {
        let mut payload = json!({"channel_id": channel(1), "message_id": "7"});
        payload.as_object_mut().expect("an object").extend(more.as_object().expect("an object").clone());
        payload
    };
    for (kind, payload, operation, may_mention) in [
        ("message.send", send()["payload"].clone(), Operation::Send, false),
        ("message.send", json!({"channel_id": channel(1), "content": "@bo, hi"}), Operation::Send, true),
        ("message.edit", target(json!({"content": "hi"})), Operation::EditOwn, false),
        ("message.edit", target(json!({"content": "hi, @bo"})), Operation::EditOwn, true),
        ("message.delete", target(json!({})), Operation::DeleteOwn, false),
        ("reaction.add", target(json!({"emoji": "👍"})), Operation::React, false),
    ] {
        for known_member in [true, false] {
            let mut one = TestSession::member_of(known_member.then_some(1));
            let outputs = one.say(&json!({"type": kind, "id": ID, "payload": payload}));
            let [Output::Submit(submission)] = &outputs[..] else { panic!("{kind}: {outputs:?}") };
            let expected = Submission {
                frame_id: Some(ID.into()),
                user_id: USER,
                channel_id: channel(1),
                record: submission.record.clone(),
                known_member,
                operation,
                may_mention,
            };
            assert_eq!(*submission, expected, "{kind}");
            let record: records::Command =
                ringside_wire::decode(submission.record.clone()).expect("a record");
            let (origin, sender) = match record.body.expect("a body") {
                command::Body::Send(send) => (send.origin, send.sender),
                command::Body::Amend(amend) => (amend.origin, amend.sender),
                other => panic!("{other:?}"),
            };
            let origin = origin.map(|origin| (origin.slot, origin.epoch));
            assert_eq!((origin, sender), (Some((3, 9)), Some(support::profile())));
        }
    }
}

#[test]
fn two_amendments_without_a_key_are_two_requests() {
    let mut one = TestSession::member_of([1]);
    let delete = json!({"type": "message.delete", "id": "x", "payload": {"channel_id": channel(1), "message_id": "7"}});
    let mut keys = Vec::new();
    for _ in 0..2 {
        let outputs = one.say(&delete);
        let [Output::Submit(submission)] = &outputs[..] else { panic!("{outputs:?}") };
        let record: records::Command = ringside_wire::decode(submission.record.clone()).expect("a record");
        let Some(command::Body::Amend(amend)) = record.body else { panic!("not an amendment") };
        assert_eq!(amend.origin.map(|origin| origin.frame_id).as_deref(), Some("x"));
        keys.push(amend.client_id);
    }
    let halves = |key: &[u8]| (key[..8].to_vec(), key[8..].to_vec());
    let [first, second] = [0, 1].map(|place| halves(&keys[place]));
    assert!(first.0 != second.0 && first.1 != second.1, "all of a key is drawn: {keys:?}");
}

#[test]
fn signals_and_presence_are_handed_over_as_they_are() {
    let of = |message: &str| json!({"channel_id": channel(1), "message_id": message});
    let in_channel = json!({"channel_id": channel(1)});
    let signal = |signal| Output::Signal {
        frame_id: Some("x".into()),
        user_id: USER,
        channel_id: channel(1),
        signal,
        known_member: true,
    };
    let presence = |change| Output::Presence { frame_id: Some("x".into()), user_id: USER, change };
    let users = vec![UserId(Uuid::from_u128(2)), UserId(Uuid::from_u128(3))];
    let (status, status_message) = (PresenceStatus::Away, Some("lunch".to_owned()));
    for (kind, payload, expected) in [
        ("message.delivered", of("7"), signal(SignalKind::Delivered(MessageId(7)))),
        ("message.read", of("8"), signal(SignalKind::Read(MessageId(8)))),
        ("typing.start", in_channel.clone(), signal(SignalKind::Typing)),
        ("typing.stop", in_channel, signal(SignalKind::StoppedTyping)),
        (
            "presence.set",
            json!({"status": "away", "status_message": " lunch "}),
            presence(PresenceChange::Set { status, status_message }),
        ),
        ("presence.subscribe", json!({"user_ids": users}), presence(PresenceChange::Watch(users.clone()))),
        (
            "presence.unsubscribe",
            json!({"user_ids": users}),
            presence(PresenceChange::Unwatch(users.clone())),
        ),
    ] {
        let mut one = TestSession::member_of([1]);
        assert_eq!(one.say(&json!({"type": kind, "id": "x", "payload": payload})), [expected], "{kind}");
        assert!(one.sent().is_empty(), "{kind}: a good one is not answered");
    }
    let mut one = TestSession::open();
    let refused =
        Delivery::SignalRefused { frame_id: Some("x"), code: ErrorCode::NotAMember, message: "No." };
    assert_eq!(one.tell(refused), []);
    let error = one.sent_json();
    assert_eq!((&error["id"], &error["payload"]["code"]), (&json!("x"), &json!("not_a_member")));
}

#[test]
fn what_can_not_be_handed_over_is_refused_at_once() {
    let typing = json!({"type": "typing.start", "id": ID, "payload": {"channel_id": channel(1)}});
    let presence = json!({"type": "presence.set", "id": ID, "payload": {"status": "away"}});
    let no_lease: fn(&mut TestSession) = |one| one.lease = None;
    let no_room: fn(&mut TestSession) = |one| one.node_room = 0;
    let fine: fn(&mut TestSession) = |_| {};
    for (state, said, code) in [
        (no_lease, send(), "unavailable"),
        (no_room, send(), "unavailable"),
        (no_room, typing.clone(), "unavailable"),
        (no_room, presence, "unavailable"),
        (fine, json!({"type": "no.such.type", "id": ID}), "unknown_type"),
        (fine, json!({"type": "typing.start", "id": ID, "payload": {}}), "bad_request"),
        (fine, json!({"type": "auth", "id": ID, "payload": {"access_token": "a.b.c"}}), "forbidden"),
    ] {
        let mut one = TestSession::member_of([1]);
        state(&mut one);
        let outputs = one.say(&said);
        let reason = "invalid_token";
        let logged = [Output::TokenRefused { reason, user_id: USER }];
        assert_eq!(outputs, if said["type"] == "auth" { &logged[..] } else { &[] }, "{said}");
        let error = one.sent_json();
        assert_eq!((&error["type"], &error["id"]), (&json!("error"), &json!(ID)), "{said}");
        assert_eq!(error["payload"]["code"], code, "{said}");
        assert_eq!((one.counts.errors, one.counts.sends), (1, 0));
    }
    let mut without_lease = TestSession::member_of([1]);
    without_lease.lease = None;
    assert_eq!(without_lease.say(&typing).len(), 1, "a sign of typing needs none");
}

#[test]
fn commands_that_wait_for_an_answer_are_bounded() {
    let limits = Limits { messages_per_second: 0, ..Limits::default() };
    let mut one = TestSession::open_with(limits);
    for _ in 0..CONNECTION_COMMANDS_MAX {
        assert_eq!(one.say(&send()).len(), 1);
    }
    assert_eq!(one.say(&send()), []);
    assert_eq!(one.sent_json()["payload"]["code"], "rate_limited");
    let outcome = Outcome::Refused { code: ErrorCode::Forbidden, message: "No.", retry_after_ms: Some(5) };
    assert_eq!(one.tell(Delivery::Answer { frame_id: Some(ID), outcome: &outcome }), []);
    let error = one.sent_json();
    assert_eq!((&error["id"], &error["payload"]["retry_after_ms"]), (&json!(ID), &json!(5)));
    assert_eq!(one.say(&send()).len(), 1, "one was answered");
}

#[test]
fn outputs_that_wait_count_as_requests() {
    let mut one = TestSession::member_of([1]);
    one.node_room = 2;
    let frames: Vec<u8> = (0..3)
        .flat_map(|_| support::frame(ringside_websocket::Opcode::Text, send().to_string().as_bytes()))
        .collect();
    assert_eq!(one.bytes(&frames).len(), 2);
    assert_eq!(one.sent_json()["payload"]["code"], "unavailable");
}
