//! How a connection ends: told why, with the close code of its class, and silent from then on.

mod support;

use std::time::Duration;

use ringside_session::context::Context;
use ringside_session::delivery::{Delivery, Outcome};
use ringside_session::limits::{CLOSE_TIMEOUT, SLOW_CLOSE_TIMEOUT};
use ringside_session::output::Output;
use ringside_session::session::Session;
use ringside_session::token::Claims;
use ringside_types::{Limits, SessionId, UnixMillis, UserId};
use ringside_websocket::Opcode;
use ringside_wire::signals::PresenceUpdated;
use serde_json::json;
use support::{HEARTBEAT, SESSION, START, Sent, TOKEN_LIFE_S, TestSession, USER, close_frame, frame, signed};
use uuid::Uuid;

const DISMISSED: [Output; 2] = [Output::Leave(USER), Output::SetTimer(CLOSE_TIMEOUT)];

/// Nothing that comes now is answered; the peer's close ends it, or the timer does.
fn is_silent(one: &mut TestSession) -> bool {
    let update = PresenceUpdated { user_id: USER, status: "away", status_message: None, last_seen_at: None };
    let outputs = [
        one.bytes(&frame(Opcode::Ping, b"hi")),
        one.say(&json!({"type": "ping"})),
        one.tell(Delivery::Presence(update)),
        one.tell(Delivery::Probe),
        one.tell(Delivery::Drain { after: Duration::ZERO }),
        one.tell(Delivery::Answer { frame_id: None, outcome: &Outcome::Acknowledged }),
        one.tell(Delivery::Pages(&[])),
    ];
    let is_quiet = outputs.iter().all(Vec::is_empty) && one.sent().is_empty();
    is_quiet && !one.session.is_live() && one.timeout() == [Output::CloseNow]
}

#[test]
fn whoever_is_dismissed_is_told_why_and_nothing_after() {
    type Input = fn(&mut Session, &mut Context<'_>);
    let fenced: Input = |session, context| session.handle_delivery(Delivery::Fenced, context);
    let session_ended: Input =
        |session, context| session.handle_delivery(Delivery::SessionEnded(Some(SESSION)), context);
    let all_ended: Input = |session, context| session.handle_delivery(Delivery::SessionEnded(None), context);
    for (input, reason, code) in
        [(fenced, "draining", 4212), (session_ended, "policy", 4009), (all_ended, "policy", 4009)]
    {
        let mut one = TestSession::open();
        one.host.queue.extend_from_slice(b"an event that was queued");
        assert_eq!(one.call(input), DISMISSED, "{reason}");
        assert!(one.is_dismissed(reason, code), "and what was queued is gone: {reason}");
        assert!(is_silent(&mut one), "{reason}");
        assert_eq!(one.closed(), [Output::Gone], "it has left the index already");
    }
}

#[test]
fn another_session_of_the_user_lives_on() {
    let mut one = TestSession::open();
    let other = SessionId(Uuid::from_u128(7));
    assert_eq!(one.tell(Delivery::SessionEnded(Some(other))), []);
    assert!(one.session.is_live() && one.sent().is_empty());
}

#[test]
fn a_fence_silences_also_who_is_going_already() {
    let mut one = TestSession::open();
    one.is_draining = true;
    one.timeout();
    assert_eq!(one.tell(Delivery::Fenced), []);
    assert!(one.host.queue.is_empty(), "nothing that was said in the slot's name");
}

#[test]
fn a_draining_edge_lets_go_when_it_is_the_clients_turn() {
    let mut one = TestSession::open();
    one.is_draining = true;
    let after = Duration::from_millis(700);
    assert_eq!(one.tell(Delivery::Drain { after }), [Output::SetTimer(after)]);
    one.say(&json!({"type": "ping"}));
    assert_eq!(one.sent_json()["type"], "pong", "until then it is served");
    one.pass(after);
    assert_eq!(one.timeout(), DISMISSED);
    assert!(one.is_dismissed("draining", 4212) && is_silent(&mut one));
}

#[test]
fn those_who_are_sent_away_come_back_one_by_one() {
    for (drawn, retry_after_ms) in [(1, 1_001), (999, 1_999), (1_000, 1_000), (1_001, 1_001)] {
        let mut one = TestSession::open();
        one.host.random = drawn - 1;
        one.tell(Delivery::Fenced);
        let sent = one.sent();
        let [Sent::Json(goodbye), Sent::Close(_)] = &sent[..] else { panic!("{sent:?}") };
        assert_eq!(goodbye["payload"]["retry_after_ms"], retry_after_ms);
    }
}

#[test]
fn the_peers_close_is_answered_once() {
    let mut one = TestSession::open();
    assert_eq!(one.bytes(&close_frame(3333)), [Output::Leave(USER), Output::CloseAfterFlush]);
    assert_eq!(one.sent(), [Sent::Close(Some(3333))]);
    let mut dismissed = TestSession::open();
    dismissed.tell(Delivery::SessionEnded(None));
    dismissed.sent();
    assert_eq!(dismissed.bytes(&close_frame(4009)), [Output::CloseAfterFlush]);
    assert!(dismissed.sent().is_empty(), "it was the answer");
}

#[test]
fn what_breaks_the_protocol_closes_with_its_code() {
    let limits = Limits::default();
    let too_long = vec![b'x'; limits.message_bytes_max() as usize + 1];
    for (bytes, code) in [
        (frame(Opcode::Binary, b"x"), 1003),
        (frame(Opcode::Text, &too_long), 1009),
        (frame(Opcode::Text, b"\xff"), 1007),
        (vec![0xff; 8], 1002),
    ] {
        let mut one = TestSession::open();
        assert_eq!(one.bytes(&bytes), [Output::Leave(USER), Output::CloseAfterAnswer], "{code}");
        assert_eq!(one.sent(), [Sent::Close(Some(code))]);
        assert_eq!(one.closed(), [Output::Gone]);
    }
}

#[test]
fn a_reader_that_stalls_is_told_and_has_longer_to_go() {
    let mut one = TestSession::open();
    one.host.queue.extend_from_slice(b"what it never took");
    let expected = [
        Output::Leave(USER),
        Output::SetTimer(CLOSE_TIMEOUT),
        Output::SetTimer(SLOW_CLOSE_TIMEOUT),
        Output::CloseAfterFlush,
    ];
    assert_eq!(one.call(Session::handle_overflow), expected);
    assert!(one.is_dismissed("slow_consumer", 4108) && is_silent(&mut one));
}

#[test]
fn a_silent_peer_is_cut_off_and_one_that_says_anything_is_not() {
    let mut one = TestSession::open();
    one.pass(HEARTBEAT / 2);
    assert_eq!(one.timeout(), [Output::SetTimer(HEARTBEAT / 2)], "too early");
    one.pass(HEARTBEAT / 2);
    assert_eq!(one.timeout(), [Output::SetTimer(HEARTBEAT)]);
    assert_eq!(one.sent(), [Sent::Ping]);
    one.bytes(&frame(Opcode::Pong, b""));
    for _ in 0..2 {
        one.pass(HEARTBEAT);
        assert_eq!(one.timeout().len(), 1);
    }
    assert_eq!(one.counts.silent, 1);
    let mut silent = TestSession::open();
    silent.pass(HEARTBEAT * 2);
    assert_eq!(silent.timeout(), [Output::CloseNow]);
    assert!(silent.sent().is_empty());
    assert_eq!((silent.counts.silent, silent.closed()), (1, vec![Output::Leave(USER), Output::Gone]));
}

#[test]
fn who_does_not_answer_a_probe_is_cut_off() {
    let deadline = Duration::from_secs(1);
    for answers in [true, false] {
        let mut one = TestSession::open();
        assert_eq!(one.tell(Delivery::Probe), [Output::SetTimer(deadline)]);
        assert_eq!(one.sent(), [Sent::Ping]);
        if answers {
            one.bytes(&frame(Opcode::Pong, b""));
        }
        one.pass(deadline);
        let expected = if answers { Output::SetTimer(HEARTBEAT - deadline) } else { Output::CloseNow };
        assert_eq!(one.timeout(), [expected]);
    }
}

#[test]
fn a_token_that_runs_out_ends_it_unless_it_is_renewed() {
    let life = Duration::from_secs(TOKEN_LIFE_S);
    let auth =
        |claims: &Claims| json!({"type": "auth", "id": "a", "payload": {"access_token": signed(claims)}});
    let mut one = TestSession::open();
    one.pass(life);
    assert_eq!(one.timeout(), DISMISSED);
    assert!(one.is_dismissed("token_expired", 4201) && is_silent(&mut one));

    let mut one = TestSession::open();
    one.pass(life - Duration::from_secs(1));
    let outputs = one.say(&auth(&Claims::access(USER, SESSION, one.time, TOKEN_LIFE_S)));
    assert!(matches!(outputs[..], [Output::SetTimer(_)]), "{outputs:?}");
    let answer = one.sent_json();
    assert_eq!((&answer["type"], &answer["id"]), (&json!("auth.ok"), &json!("a")));
    one.pass(Duration::from_secs(1));
    assert!(matches!(one.timeout()[..], [Output::SetTimer(_)]), "it lives on");

    let other_user = UserId(Uuid::from_u128(2));
    let other_session = SessionId(Uuid::from_u128(7));
    let past = UnixMillis(START.0 - 3_600_000);
    for (claims, reason) in [
        (Claims::access(other_user, SESSION, START, 900), "other_session"),
        (Claims::access(USER, other_session, START, 900), "other_session"),
        (Claims::access(USER, SESSION, past, 900), "expired_token"),
        (Claims { typ: "refresh".into(), ..Claims::access(USER, SESSION, START, 900) }, "invalid_token"),
    ] {
        let mut one = TestSession::open();
        assert_eq!(one.say(&auth(&claims)), [Output::TokenRefused { reason, user_id: USER }]);
        assert_eq!(one.sent_json()["payload"]["code"], "forbidden", "{reason}");
        one.pass(life);
        assert_eq!(one.timeout(), DISMISSED, "{reason}");
    }
}
