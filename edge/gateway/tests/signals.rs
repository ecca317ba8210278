//! Receipts and typing: what the node is asked, and whom a shard tells.

mod support;

use ringside_edge_protocol::{Attention, PresenceChange, PresenceSeen, Signal, SignalKind, ToNode, ToShard};
use ringside_reactor::Backend;
use ringside_types::{ErrorCode, MessageId, UnixMillis, UserId};
use ringside_wire::signals::PresenceStatus;
use serde_json::json;
use support::{CHANNEL, OTHER, TestShard, deadline, frame, is_silent, live, say, user};

over_both_backends!(
    signals_name_who_and_what_and_are_answered_when_refused,
    a_status_reaches_those_who_may_know,
    typists_see_the_others_and_not_themselves,
    signals_that_come_too_late_close_the_connections,
    presence_is_asked_for_and_told_connection_by_connection,
    who_is_away_is_notified_but_of_nobody_whom_they_have_blocked,
);

fn signals_name_who_and_what_and_are_answered_when_refused(backend: Backend) {
    let shard = TestShard::new(backend);
    let (mut client, connection) = shard.connect(1, &[live(CHANNEL, 10)]);
    let asked = [
        (
            "message.delivered",
            json!({"channel_id": CHANNEL, "message_id": "7"}),
            SignalKind::Delivered(MessageId(7)),
            true,
        ),
        (
            "message.read",
            json!({"channel_id": OTHER, "message_id": "8"}),
            SignalKind::Read(MessageId(8)),
            false,
        ),
        ("typing.start", json!({"channel_id": CHANNEL}), SignalKind::Typing, true),
        ("typing.stop", json!({"channel_id": CHANNEL}), SignalKind::StoppedTyping, true),
    ];
    for (frame_type, payload, kind, known_member) in asked {
        say(&mut client, &json!({"type": frame_type, "id": "x", "payload": payload}));
        let ToNode::Signal(signal) = shard.request() else { panic!("not a signal") };
        assert_eq!(
            (signal.user_id, signal.kind, signal.known_member),
            (user(1), kind, known_member),
            "{frame_type}"
        );
        assert_eq!((signal.connection, signal.frame_id.as_deref()), (connection, Some("x")));
    }
    assert!(is_silent(&mut client), "a good one is not answered");
    shard.post(ToShard::SignalRefused {
        token: connection.token,
        frame_id: Some("x".into()),
        code: ErrorCode::NotAMember,
        message: "You are not a member of this channel.",
    });
    let error = frame(&mut client);
    assert_eq!((&error["id"], &error["payload"]["code"]), (&json!("x"), &json!("not_a_member")));
    say(&mut client, &json!({"type": "message.read", "id": "y", "payload": {"channel_id": CHANNEL}}));
    assert_eq!(frame(&mut client)["payload"]["code"], "bad_request");
    assert!(shard.nothing_is_asked());
}

fn tell(shard: &TestShard, signal: Signal) {
    shard.post(ToShard::Signals { valid_until: deadline(), signals: [signal].into() });
}

fn a_status_reaches_those_who_may_know(backend: Backend) {
    let shard = TestShard::new(backend);
    let in_it = [live(CHANNEL, 10)];
    let (mut own, _) = shard.connect(1, &in_it);
    let (mut own_too, _) = shard.connect(1, &in_it);
    let (mut other, _) = shard.connect(2, &in_it);
    let (mut hidden, _) = shard.connect(3, &in_it);
    let (mut outsider, _) = shard.connect(4, &[live(OTHER, 10)]);
    let status = |own_devices_only| Signal::Status {
        channel_id: CHANNEL,
        user_id: user(1),
        last_delivered_id: MessageId(9),
        last_read_id: MessageId::ZERO,
        own_devices_only,
        hidden_from: vec![user(3), user(77)],
    };
    tell(&shard, status(false));
    for client in [&mut own, &mut own_too, &mut other] {
        let expected = json!({
            "channel_id": CHANNEL, "user_id": user(1), "last_delivered_id": "9", "last_read_id": null,
        });
        let told = frame(client);
        assert_eq!((&told["type"], &told["payload"]), (&json!("message.status"), &expected));
    }
    tell(&shard, status(true));
    for client in [&mut own, &mut own_too] {
        assert_eq!(frame(client)["type"], "message.status");
    }
    for client in [&mut own, &mut other, &mut hidden, &mut outsider] {
        assert!(is_silent(client));
    }
}

fn typists_see_the_others_and_not_themselves(backend: Backend) {
    let shard = TestShard::new(backend);
    let in_it = [live(CHANNEL, 10)];
    let (mut one, _) = shard.connect(1, &in_it);
    let (mut two, _) = shard.connect(2, &in_it);
    let (mut three, _) = shard.connect(3, &in_it);
    let typing = |changed, users: &[UserId]| Signal::Typing {
        channel_id: CHANNEL,
        user_id: user(changed),
        users: users.to_vec(),
    };
    tell(&shard, typing(2, &[user(1), user(2)]));
    assert_eq!(frame(&mut one)["payload"]["users"], json!([user(2)]));
    assert_eq!(frame(&mut three)["payload"], json!({"channel_id": CHANNEL, "users": [user(1), user(2)]}));
    assert!(is_silent(&mut two), "nobody is told of themselves");
    tell(&shard, typing(2, &[user(1)]));
    assert_eq!(frame(&mut one)["payload"]["users"], json!([]));
    assert_eq!(frame(&mut three)["payload"]["users"], json!([user(1)]));
}

fn signals_that_come_too_late_close_the_connections(backend: Backend) {
    let shard = TestShard::new(backend);
    let (mut client, _) = shard.connect(1, &[live(CHANNEL, 10)]);
    let signal = Signal::Typing { channel_id: CHANNEL, user_id: user(2), users: vec![user(2)] };
    shard.post(ToShard::Signals { valid_until: support::over(), signals: [signal].into() });
    assert_eq!(support::ending(&mut client), ("draining".into(), 4212));
}

fn presence_is_asked_for_and_told_connection_by_connection(backend: Backend) {
    let shard = TestShard::new(backend);
    let (mut client, connection) = shard.connect(1, &[]);
    let (mut other, _) = shard.connect(1, &[]);
    let users = vec![user(2), user(3)];
    let set = |text: Option<&str>| PresenceChange::Set {
        status: PresenceStatus::Away,
        status_message: text.map(Into::into),
    };
    let changes = [
        ("set", json!({"status": "away"}), set(None)),
        ("set", json!({"status": "away", "status_message": " lunch "}), set(Some("lunch"))),
        ("subscribe", json!({"user_ids": [user(3), user(2), user(3)]}), PresenceChange::Watch(users.clone())),
        ("unsubscribe", json!({"user_ids": users}), PresenceChange::Unwatch(users.clone())),
    ];
    for (kind, payload, change) in changes {
        say(&mut client, &json!({"type": format!("presence.{kind}"), "id": "p", "payload": payload}));
        let ToNode::Presence(asked) = shard.request() else { panic!("no change of presence") };
        assert_eq!((asked.connection, asked.user_id, asked.change), (connection, user(1), change));
        assert_eq!(asked.frame_id.as_deref(), Some("p"));
    }
    shard.post(ToShard::Presence(vec![PresenceSeen {
        token: connection.token,
        user_id: user(2),
        status: "dnd",
        status_message: String::new(),
        last_seen_at: Some(UnixMillis(0)),
    }]));
    let update = frame(&mut client);
    let expected = json!({
        "user_id": user(2), "status": "dnd", "status_message": null, "last_seen_at": "1970-01-01T00:00:00.000Z",
    });
    assert_eq!((&update["type"], &update["payload"]), (&json!("presence.update"), &expected));
    assert!(is_silent(&mut other), "it did not ask");
}

fn who_is_away_is_notified_but_of_nobody_whom_they_have_blocked(backend: Backend) {
    let shard = TestShard::new(backend);
    let (mut client, _) = shard.connect(2, &[live(CHANNEL, 10)]);
    let away = |blocked: Vec<UserId>| ToShard::Attention {
        user_id: user(2),
        attention: Some(std::sync::Arc::new(Attention { blocked, ..Attention::default() })),
    };
    shard.post(away(vec![user(3)]));
    shard.events(CHANNEL, &[11]);
    assert_eq!(frame(&mut client)["type"], "message.new");
    assert_eq!(frame(&mut client)["type"], "notification");
    shard.post(away(vec![user(3), user(1)]));
    shard.events(CHANNEL, &[12]);
    assert_eq!(frame(&mut client)["type"], "message.new");
    assert!(is_silent(&mut client));
}
