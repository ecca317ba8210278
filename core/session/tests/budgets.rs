//! What a user's frames may cost, and what becomes of who goes on.

mod support;

use std::time::Duration;

use ringside_session::output::Output;
use ringside_types::Limits;
use ringside_websocket::Opcode;
use serde_json::{Value, json};
use support::{Sent, TestSession, USER, channel, frame, token};

/// One whose budget comes back a unit a second.
fn budgeted(frame_units_burst: u32) -> TestSession {
    TestSession::open_with(Limits { frame_units_per_second: 1, frame_units_burst, ..Limits::default() })
}

/// Every kind of frame, and what it costs.
fn frames() -> Vec<(Value, u32)> {
    let (in_channel, of) =
        (json!({"channel_id": channel(1)}), json!({"channel_id": channel(1), "message_id": "7"}));
    let user = uuid::Uuid::from_u128(5);
    let edit = json!({"channel_id": channel(1), "message_id": "7", "content": "hi"});
    let react = json!({"channel_id": channel(1), "message_id": "7", "emoji": "❤️"});
    let synced = json!([{"channel_id": channel(1)}, {"channel_id": channel(2)}]);
    [
        ("message.send", json!({"channel_id": channel(1), "content": "hi"}), 10),
        ("message.send", json!({"channel_id": channel(1), "content": "x".repeat(2_048)}), 12),
        ("message.edit", edit, 10),
        ("message.delete", of.clone(), 10),
        ("reaction.add", react, 10),
        ("message.delivered", of.clone(), 20),
        ("message.read", of, 20),
        ("typing.start", in_channel.clone(), 20),
        ("typing.stop", in_channel, 20),
        ("presence.set", json!({"status": "online"}), 100),
        ("presence.subscribe", json!({"user_ids": [user]}), 11),
        ("presence.unsubscribe", json!({"user_ids": [user]}), 11),
        ("sync", json!({"channels": synced}), 18),
        ("auth", json!({"access_token": token()}), 200),
        ("ping", json!({}), 10),
        ("no.such.type", json!({}), 10),
    ]
    .map(|(kind, payload, units)| {
        let id = "6f9619ff-8b86-4011-b42d-00c04fc964ff";
        (json!({"type": kind, "id": id, "payload": payload}), units)
    })
    .into()
}

#[test]
fn every_kind_of_frame_has_its_price_and_is_refused_without_it() {
    for (said, units) in frames() {
        // Another frame is paid for first, as a rested user may overdraw.
        let mut rich = budgeted(10 + units);
        rich.say(&json!({"type": "ping"}));
        rich.sent();
        rich.say(&said);
        assert_eq!(rich.counts.rate_limited, 0, "{said}");
        let mut poor = budgeted(10 + units - 1);
        poor.say(&json!({"type": "ping"}));
        poor.sent();
        assert_eq!(poor.say(&said), [], "{said}");
        let error = poor.sent_json();
        assert_eq!((&error["type"], &error["id"]), (&json!("error"), &said["id"]), "{said}");
        assert_eq!(error["payload"]["code"], "rate_limited", "{said}");
        assert_eq!(error["payload"]["retry_after_ms"], 1_000, "{said}");
        poor.pass(Duration::from_secs(1));
        poor.say(&said);
        assert_eq!(poor.counts.rate_limited, 1, "it was told when: {said}");
    }
    let mut poor = budgeted(10);
    poor.say(&json!({"type": "ping"}));
    poor.sent();
    poor.bytes(&frame(Opcode::Text, b"no envelope"));
    assert_eq!(poor.sent_json()["payload"]["code"], "rate_limited");
}

#[test]
fn messages_cost_nothing_where_their_limit_is_off() {
    let limits = Limits {
        messages_per_second: 0,
        frame_units_per_second: 1,
        frame_units_burst: 10,
        ..Limits::default()
    };
    let mut one = TestSession::open_with(limits);
    for (said, _) in frames().into_iter().take(5) {
        for _ in 0..5 {
            assert!(matches!(one.say(&said)[..], [Output::Submit(_)]), "{said}");
        }
    }
    one.say(&json!({"type": "ping"}));
    assert_eq!(one.sent_json()["type"], "pong");
}

#[test]
fn a_ping_without_budget_is_not_answered() {
    let mut one = budgeted(10);
    for _ in 0..2 {
        assert_eq!(one.bytes(&frame(Opcode::Ping, b"hi")), []);
    }
    assert_eq!(one.sent(), [Sent::Pong(b"hi".to_vec())]);
}

#[test]
fn who_goes_on_is_dismissed() {
    for said in [frame(Opcode::Text, br#"{"type":"ping"}"#), frame(Opcode::Ping, b"hi")] {
        let mut one = budgeted(10);
        let last = (0..300).map(|_| one.bytes(&said)).find(|outputs| !outputs.is_empty()).expect("an end");
        assert!(matches!(last[..], [Output::Leave(USER), Output::SetTimer(_)]), "{last:?}");
        let sent = one.sent();
        let [.., Sent::Json(goodbye), Sent::Close(Some(4003))] = &sent[..] else { panic!("{sent:?}") };
        assert_eq!(goodbye["payload"]["reason"], "policy");
        assert_eq!(one.bytes(&said), []);
        assert!(one.sent().is_empty());
        assert_eq!(one.counts.policy_closes, 1);
    }
}

#[test]
fn connections_of_one_user_share_a_budget() {
    let limits = Limits { frame_units_per_second: 1, frame_units_burst: 10, ..Limits::default() };
    let (mut first, mut second) = (budgeted(10), TestSession::admitting());
    second.settings.limits = limits;
    second.budget = first.budget.clone();
    second.now = first.now;
    second.admit();
    second.head();
    second.sent();
    first.say(&json!({"type": "ping"}));
    assert_eq!(first.sent_json()["type"], "pong");
    second.say(&json!({"type": "ping"}));
    assert_eq!(second.sent_json()["payload"]["code"], "rate_limited");
}
