//! What one user's frames may cost, over all of their connections, and what becomes of who goes on.

mod support;

use ringside_edge_protocol::{AdmitRefusal, ConnectionRef, ToNode, ToShard};
use ringside_reactor::Backend;
use ringside_types::Limits;
use serde_json::{Value, json};
use support::{CHANNEL, Client, TestShard, frame, live, read_to_end, say, token};

over_both_backends!(
    every_kind_of_frame_is_refused_when_the_budget_is_used_up,
    messages_cost_nothing_where_their_limit_is_off,
    a_subscription_costs_as_much_as_it_names,
    connections_of_one_user_share_a_budget,
    who_goes_on_is_let_go,
    who_has_used_it_up_is_told_at_the_handshake,
);

/// So little comes back that a test does not see it.
fn shard(backend: Backend, frame_units_burst: u32) -> TestShard {
    let limits = Limits { frame_units_per_second: 1, frame_units_burst, ..Limits::default() };
    TestShard::with(backend, limits, 25_000)
}

fn is_refused(client: &mut Client, said: &Value) {
    say(client, said);
    let error = frame(client);
    assert_eq!((&error["type"], &error["id"]), (&json!("error"), &said["id"]), "{said}");
    assert_eq!(error["payload"]["code"], "rate_limited", "{said}");
    assert!(error["payload"]["retry_after_ms"].as_u64().is_some_and(|wait| wait > 1_000), "{error}");
}

fn every_kind_of_frame_is_refused_when_the_budget_is_used_up(backend: Backend) {
    let shard = shard(backend, 10);
    let (mut client, _) = shard.connect(1, &[live(CHANNEL, 10)]);
    say(&mut client, &json!({"type": "ping", "id": "first"}));
    assert_eq!(frame(&mut client)["type"], "pong");
    let (channel, id) = (json!({"channel_id": CHANNEL}), json!({"channel_id": CHANNEL, "message_id": "7"}));
    for (kind, payload) in [
        ("message.send", json!({"channel_id": CHANNEL, "content": "hi", "content_type": "text"})),
        ("message.edit", json!({"channel_id": CHANNEL, "message_id": "7", "content": "hi"})),
        ("message.delete", id.clone()),
        ("message.delivered", id.clone()),
        ("message.read", id),
        ("reaction.add", json!({"channel_id": CHANNEL, "message_id": "7", "emoji": "❤️"})),
        ("typing.start", channel.clone()),
        ("typing.stop", channel),
        ("presence.set", json!({"status": "online"})),
        ("presence.subscribe", json!({"user_ids": []})),
        ("presence.unsubscribe", json!({"user_ids": []})),
        ("sync", json!({"channels": []})),
        ("auth", json!({"access_token": token(1, 900)})),
        ("ping", json!({})),
        ("no.such.type", json!({})),
    ] {
        is_refused(
            &mut client,
            &json!({"type": kind, "id": "6f9619ff-8b86-4011-b42d-00c04fc964ff", "payload": payload}),
        );
    }
    client.send(tungstenite::Message::text("no envelope")).expect("it takes a frame");
    assert_eq!(frame(&mut client)["payload"]["code"], "rate_limited");
    assert!(shard.nothing_is_asked());
}

fn messages_cost_nothing_where_their_limit_is_off(backend: Backend) {
    let limits = Limits {
        messages_per_second: 0,
        frame_units_per_second: 1,
        frame_units_burst: 10,
        ..Limits::default()
    };
    let shard = TestShard::with(backend, limits, 25_000);
    let (mut client, _) = shard.connect(1, &[live(CHANNEL, 10)]);
    for _ in 0..20 {
        let payload = json!({"channel_id": CHANNEL, "content": "hi", "content_type": "text"});
        let id = "6f9619ff-8b86-4011-b42d-00c04fc964ff";
        say(&mut client, &json!({"type": "message.send", "id": id, "payload": payload}));
        assert!(matches!(shard.request(), ToNode::Submit(_)));
    }
    say(&mut client, &json!({"type": "ping", "id": "affordable"}));
    assert_eq!(frame(&mut client)["type"], "pong");
    is_refused(&mut client, &json!({"type": "ping", "id": "one too many"}));
}

fn a_subscription_costs_as_much_as_it_names(backend: Backend) {
    let shard = shard(backend, 400);
    let (mut client, _) = shard.connect(1, &[]);
    let users: Vec<String> = (0..300).map(|number| support::user(number).to_string()).collect();
    let subscribe = json!({"type": "presence.subscribe", "id": "s", "payload": {"user_ids": users}});
    say(&mut client, &subscribe);
    shard.request();
    is_refused(&mut client, &subscribe);
    say(&mut client, &json!({"type": "ping", "id": "cheap"}));
    assert_eq!(frame(&mut client)["type"], "pong", "what is cheap is still affordable");
}

fn connections_of_one_user_share_a_budget(backend: Backend) {
    let shard = shard(backend, 10);
    let budget = support::rested_budget();
    let mut clients = [1, 1, 2].map(|number| {
        let budget = if number == 1 { budget.clone() } else { support::rested_budget() };
        shard.connect_charged(number, budget).0
    });
    say(&mut clients[0], &json!({"type": "ping", "id": "mine"}));
    assert_eq!(frame(&mut clients[0])["type"], "pong");
    is_refused(&mut clients[1], &json!({"type": "ping", "id": "mine, too"}));
    say(&mut clients[2], &json!({"type": "ping", "id": "another's"}));
    assert_eq!(frame(&mut clients[2])["type"], "pong");
}

fn who_goes_on_is_let_go(backend: Backend) {
    let shard = shard(backend, 10);
    let (mut client, _) = shard.connect(1, &[]);
    for _ in 0..300 {
        // It may be closed by now.
        let _ = client.send(tungstenite::Message::text(json!({"type": "ping"}).to_string()));
    }
    assert_eq!(frame(&mut client)["type"], "pong");
    let mut refusals = 0;
    let end = loop {
        let next = frame(&mut client);
        if next["type"] == "goodbye" {
            break next;
        }
        assert_eq!(next["payload"]["code"], "rate_limited");
        refusals += 1;
    };
    assert!((200..300).contains(&refusals), "{refusals}");
    assert_eq!(end["payload"]["reason"], "policy");
    let tungstenite::Message::Close(Some(close)) = client.read().expect("a close") else {
        panic!("no close")
    };
    assert_eq!(u16::from(close.code), 4003);
}

fn who_has_used_it_up_is_told_at_the_handshake(backend: Backend) {
    let shard = shard(backend, 10);
    let stream = shard.raw(
        format!(
            "GET /ws HTTP/1.1\r\nHost: h\r\nUpgrade: websocket\r\nConnection: Upgrade\r\nSec-WebSocket-Version: 13\r\n\
             Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\nAuthorization: Bearer {}\r\n\r\n",
            token(1, 900)
        )
        .as_bytes(),
    );
    let (ConnectionRef { token, .. }, _) = shard.admit_request();
    shard.post(ToShard::Refused { token, reason: AdmitRefusal::RateLimited { retry_after_ms: 6_001 } });
    let answer = read_to_end(stream);
    assert!(answer.starts_with("HTTP/1.1 429 "), "{answer}");
    assert!(answer.to_lowercase().contains("retry-after: 7\r\n"), "{answer}");
}
