//! How a connection ends: told why, with the close code of its class, and silent from then on.

mod support;

use std::sync::atomic::Ordering;

use ringside_edge_protocol::{ChannelEvent, ToNode, ToShard};
use ringside_gateway::AUTH_REFUSAL_REASONS;
use ringside_reactor::Backend;
use ringside_types::{ErrorCode, Limits};
use serde_json::json;
use support::{CHANNEL, TestShard, ending, event, frame, live, say, session, token, user};
use tungstenite::Message;

over_both_backends!(
    a_session_that_ended_is_silent_and_closed,
    a_late_delivery_fences_all,
    a_lost_slot_closes_all_and_new_ones_are_welcome_after,
    a_drain_lets_everybody_go_and_refuses_who_comes,
    a_token_that_runs_out_closes_unless_it_is_renewed,
    a_foreign_token_renews_nothing,
    a_silent_peer_is_cut_off_and_one_that_answers_is_not,
    who_does_not_answer_a_probe_is_cut_off,
    a_page_that_can_not_be_had_sends_the_client_back,
    a_reader_that_stalls_is_told_and_let_go,
    the_peers_close_is_answered_with_its_code,
    binary_messages_and_oversize_ones_close_with_their_code,
);

fn a_session_that_ended_is_silent_and_closed(backend: Backend) {
    let shard = TestShard::new(backend);
    let (mut client, _) = shard.connect(1, &[live(CHANNEL, 10)]);
    let (mut other, _) = shard.connect(2, &[live(CHANNEL, 10)]);
    let ended = |of| ToShard::SessionEnded { user_id: user(1), session_id: Some(session(of)) };
    shard.post(ended(7));
    assert!(support::is_silent(&mut client), "another session of the user");
    shard.post(ended(1));
    shard.events(CHANNEL, &[11]);
    assert_eq!(ending(&mut client), ("policy".into(), 4009));
    assert_eq!(support::new_ids(&mut other, 1), [11]);
}

fn a_late_delivery_fences_all(backend: Backend) {
    let shard = TestShard::new(backend);
    let (mut client, _) = shard.connect(1, &[live(CHANNEL, 10)]);
    let events = [ChannelEvent { channel_id: CHANNEL, effective: event(11, 10) }];
    // A shard's turn goes by the time at which it began: this has passed for every turn.
    shard.post(ToShard::Events { valid_until: support::over(), events: events.into() });
    assert_eq!(ending(&mut client), ("draining".into(), 4212));
}

fn a_lost_slot_closes_all_and_new_ones_are_welcome_after(backend: Backend) {
    let shard = TestShard::new(backend);
    let (mut client, connection) = shard.connect(1, &[live(CHANNEL, 10)]);
    shard.post(ToShard::Fenced);
    assert_eq!(ending(&mut client), ("draining".into(), 4212));
    drop(client);
    assert!(matches!(shard.request(), ToNode::Closed { connection: gone } if gone == connection));
    let (mut client, _) = shard.connect(1, &[]);
    let send = json!({"type": "message.send", "id": uuid::Uuid::nil(), "payload": {"channel_id": CHANNEL, "content": "x"}});
    say(&mut client, &send);
    assert_eq!(frame(&mut client)["payload"]["code"], "unavailable", "there is no slot to send from");
    shard.post(ToShard::Seated { slot: ringside_types::Slot(3), epoch: ringside_types::Epoch(10) });
    assert!(support::is_silent(&mut client), "sockets come before mail in a turn");
    say(&mut client, &send);
    assert!(matches!(shard.request(), ToNode::Submit(_)));
}

fn a_drain_lets_everybody_go_and_refuses_who_comes(backend: Backend) {
    let shard = TestShard::new(backend);
    let mut clients: Vec<_> = (1..=20).map(|number| shard.connect(number, &[]).0).collect();
    shard.post(ToShard::Drain { window_ms: 1_000 });
    for client in &mut clients {
        assert_eq!(ending(client), ("draining".into(), 4212));
    }
    let request = format!(
        "GET /ws HTTP/1.1\r\nHost: e\r\nUpgrade: websocket\r\nConnection: Upgrade\r\nSec-WebSocket-Version: 13\r\n\
         Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\nAuthorization: Bearer {}\r\n\r\n",
        token(1, 900)
    );
    let answer = support::read_to_end(shard.raw(request.as_bytes()));
    assert!(answer.starts_with("HTTP/1.1 503") && answer.contains("Retry-After"), "{answer}");
}

fn a_token_that_runs_out_closes_unless_it_is_renewed(backend: Backend) {
    let shard = TestShard::new(backend);
    let (mut ends, _) = shard.connect_with(1, &token(1, 2), &[]);
    let (mut lives, _) = shard.connect_with(2, &token(2, 2), &[]);
    say(&mut lives, &json!({"type": "auth", "id": "a", "payload": {"access_token": token(2, 900)}}));
    let renewed = frame(&mut lives);
    assert_eq!((&renewed["type"], &renewed["id"]), (&json!("auth.ok"), &json!("a")));
    assert!(renewed["payload"]["expires_at"].is_string(), "{renewed}");
    assert_eq!(ending(&mut ends), ("token_expired".into(), 4201));
    assert!(support::is_silent(&mut lives), "it lives past its first token");
}

fn a_foreign_token_renews_nothing(backend: Backend) {
    let shard = TestShard::new(backend);
    let (mut client, _) = shard.connect(1, &[]);
    for foreign in [token(2, 900), "junk".into()] {
        say(&mut client, &json!({"type": "auth", "payload": {"access_token": foreign}}));
        assert_eq!(frame(&mut client)["payload"]["code"], "forbidden");
    }
    let counted: Vec<u64> =
        shard.counters.auth_refused.iter().map(|count| count.load(Ordering::Relaxed)).collect();
    assert_eq!(counted, [1, 0, 1], "{AUTH_REFUSAL_REASONS:?}");
}

fn a_silent_peer_is_cut_off_and_one_that_answers_is_not(backend: Backend) {
    let shard = TestShard::with(backend, Limits::default(), 300);
    let (silent, gone) = shard.connect(1, &[]);
    let (mut lives, _) = shard.connect(2, &[]);
    // Reading answers the server's pings; the silent one is cut off after two intervals.
    let mut pings = 0;
    while pings < 6 {
        match lives.read() {
            Ok(Message::Ping(_)) => pings += 1,
            other => panic!("{other:?}"),
        }
    }
    assert!(matches!(shard.request(), ToNode::Closed { connection } if connection == gone));
    assert!(support::is_silent(&mut lives));
    drop(silent);
}

fn who_does_not_answer_a_probe_is_cut_off(backend: Backend) {
    let shard = TestShard::new(backend);
    let (silent, gone) = shard.connect(1, &[]);
    let (mut lives, _) = shard.connect(1, &[]);
    let (other, _) = shard.connect(2, &[]);
    shard.post(ToShard::Probe(user(1)));
    // Reading answers.
    assert!(matches!(lives.read(), Ok(Message::Ping(_))));
    lives.flush().expect("the pong is sent");
    assert!(matches!(shard.request(), ToNode::Closed { connection } if connection == gone));
    assert!(support::is_silent(&mut lives), "one ping, and it is there still");
    drop((silent, other));
}

fn a_page_that_can_not_be_had_sends_the_client_back(backend: Backend) {
    let shard = TestShard::new(backend);
    let (mut client, connection) = shard.connect(1, &[live(CHANNEL, 10)]);
    say(
        &mut client,
        &json!({"type": "sync", "payload": {"channels": [{"channel_id": CHANNEL, "last_message_id": null}]}}),
    );
    shard.read_request();
    shard.post(ToShard::PageRefused {
        token: connection.token,
        channel_id: CHANNEL,
        code: ErrorCode::Unavailable,
    });
    assert_eq!(ending(&mut client), ("overloaded".into(), 4100));
}

#[expect(clippy::disallowed_methods, reason = "a client that stalls: there is nothing to wait for")]
fn a_reader_that_stalls_is_told_and_let_go(backend: Backend) {
    let shard = TestShard::new(backend);
    let (mut stalled, gone) = shard.connect(1, &[live(CHANNEL, 10)]);
    let (mut reads, _) = shard.connect(2, &[live(CHANNEL, 10)]);
    let mut id = 10;
    let counter = &shard.counters.slow_consumers;
    // Bounded: the queue and both kernels' buffers hold a few megabytes.
    while counter.load(Ordering::Relaxed) == 0 && id < 100_000 {
        let ids: Vec<u64> = (id + 1..=id + 500).collect();
        shard.events(CHANNEL, &ids);
        assert_eq!(support::new_ids(&mut reads, 500), ids, "others are not held up");
        id += 500;
    }
    // It stalls for longer than a peer may take to answer a close, and is told all the same.
    std::thread::sleep(std::time::Duration::from_millis(3_500));
    let mut seen = 0;
    let reason = loop {
        let frame = frame(&mut stalled);
        if frame["type"] == "goodbye" {
            break frame["payload"]["reason"].clone();
        }
        seen += 1;
    };
    assert_eq!(reason, "slow_consumer");
    assert!(seen < id, "what was queued is gone, for a sync to bring");
    assert!(matches!(stalled.read(), Ok(Message::Close(Some(close))) if u16::from(close.code) == 4108));
    assert!(matches!(shard.request(), ToNode::Closed { connection } if connection == gone));
}

fn the_peers_close_is_answered_with_its_code(backend: Backend) {
    let shard = TestShard::new(backend);
    let (mut client, _) = shard.connect(1, &[]);
    client
        .close(Some(tungstenite::protocol::CloseFrame { code: 1000.into(), reason: "bye".into() }))
        .expect("sent");
    assert!(matches!(client.read(), Ok(Message::Close(Some(close))) if u16::from(close.code) == 1000));
    assert!(matches!(shard.request(), ToNode::Closed { .. }));
}

fn binary_messages_and_oversize_ones_close_with_their_code(backend: Backend) {
    let shard = TestShard::new(backend);
    for (message, wanted) in [(Message::binary(vec![1]), 1003), (Message::text("x".repeat(70_000)), 1009)] {
        let (mut client, _) = shard.connect(1, &[]);
        // The server may close before it has taken all of a message that is too large.
        let _ = client.send(message);
        let answer = client.read();
        assert!(
            matches!(&answer, Ok(Message::Close(Some(close))) if u16::from(close.code) == wanted),
            "{answer:?}"
        );
        drop(client);
        assert!(matches!(shard.request(), ToNode::Closed { .. }));
    }
}
