//! A whole life, from the bytes of a request to the close, without a socket.

mod support;

use std::sync::Arc;
use std::time::Duration;

use proptest::prelude::*;
use ringside_session::delivery::{Delivery, Outcome, Subscription};
use ringside_session::output::{Output, Submission};
use ringside_session::session::Session;
use ringside_types::MessageId;
use ringside_types::authorization::Operation;
use ringside_websocket::Opcode;
use serde_json::json;
use support::{
    HEARTBEAT, SESSION, START, Sent, TestSession, USER, bearer, channel, close_frame, frame, profile,
    request, token,
};

#[test]
fn a_life_from_request_to_close() {
    let mut one = TestSession::accepted();
    let request = request(&[&bearer(&token())]);
    let (first, second) = request.split_at(40);
    assert_eq!(one.bytes(first.as_bytes()), []);
    let asks = Output::Admit { user_id: USER, session_id: SESSION };
    assert_eq!(one.bytes(second.as_bytes()), [asks]);
    let ping = frame(Opcode::Ping, b"hi");
    assert_eq!(one.bytes(&ping), [], "kept until the request is answered");
    assert!(one.host.queue.is_empty() && !one.session.is_open() && !one.session.is_in_handshake());

    let channels = vec![Subscription {
        channel_id: channel(1),
        last: Some(MessageId(10)),
        sees_above: MessageId::ZERO,
        waiting: MessageId::ZERO,
    }];
    let (profile, budget) = (Arc::new(profile()), one.budget.clone());
    let admitted = one.tell(Delivery::Admitted { profile, budget, channels: channels.clone() });
    let opened = Output::Opened { user_id: USER, channels, early: ping };
    assert_eq!(admitted, [Output::SetTimer(HEARTBEAT), opened]);
    assert!(one.session.is_open() && one.session.is_live());
    assert!(one.head().starts_with("HTTP/1.1 101 "));
    let hello = one.sent_json();
    assert_eq!(hello["payload"]["connection_id"], "3-9-2-abc");
    assert_eq!(hello["payload"]["heartbeat_interval_ms"], 25_000);
    assert_eq!(one.bytes(&frame(Opcode::Ping, b"hi")), []);
    assert_eq!(one.sent(), [Sent::Pong(b"hi".to_vec())]);

    one.host.members.insert(channel(1));
    let id = "6f9619ff-8b86-4011-b42d-00c04fc964ff";
    let payload = json!({"channel_id": channel(1), "content": "hi"});
    let asked = one.say(&json!({"type": "message.send", "id": id, "payload": payload}));
    let [Output::Submit(Submission { frame_id, user_id, channel_id, known_member, operation, .. })] =
        &asked[..]
    else {
        panic!("{asked:?}")
    };
    assert_eq!((frame_id.as_deref(), *user_id, *channel_id), (Some(id), USER, channel(1)));
    assert_eq!((*known_member, *operation), (true, Operation::Send));
    assert!(one.sent().is_empty(), "the log has not confirmed it");
    assert_eq!(one.tell(Delivery::Answer { frame_id: Some(id), outcome: &Outcome::Acknowledged }), []);
    let ack = one.sent_json();
    assert_eq!((&ack["type"], &ack["id"]), (&json!("message.ack"), &json!(id)));

    one.pass(HEARTBEAT);
    assert_eq!(one.timeout(), [Output::SetTimer(HEARTBEAT)]);
    assert_eq!(one.sent(), [Sent::Ping]);
    assert_eq!(one.bytes(&frame(Opcode::Pong, b"")), []);

    assert_eq!(one.bytes(&close_frame(1000)), [Output::Leave(USER), Output::CloseAfterFlush]);
    assert_eq!(one.sent(), [Sent::Close(Some(1000))]);
    assert!(one.session.is_open() && !one.session.is_live());
    assert_eq!(one.closed(), [Output::Gone]);
    assert_eq!(one.timeout(), [Output::CloseNow]);
    assert_eq!((one.bytes(&frame(Opcode::Ping, b"hi")), one.closed()), (vec![], vec![]));
    assert!(one.sent().is_empty() && !one.session.is_open());
    assert_eq!((one.counts.upgraded, one.counts.frames_in, one.counts.sends), (1, 1, 1));
}

#[test]
fn whoever_goes_is_reported_gone_if_the_node_knows_them() {
    assert_eq!(TestSession::accepted().closed(), []);
    let mut admitting = TestSession::admitting();
    assert_eq!(admitting.closed(), [Output::Gone]);
    assert_eq!(admitting.admit(), [], "a late yes");
    assert!(admitting.host.queue.is_empty());
    assert_eq!(TestSession::open().closed(), [Output::Leave(USER), Output::Gone]);
    let mut evicted = TestSession::accepted();
    assert_eq!(evicted.call(Session::handle_eviction), [Output::CloseNow]);
    assert_eq!((evicted.bytes(b"GET "), evicted.closed()), (vec![], vec![]));
}

/// Everything that a client may say in any order, the good and the bad.
fn conversation() -> Vec<u8> {
    let mut bytes = Vec::new();
    let id = "6f9619ff-8b86-4011-b42d-00c04fc964ff";
    for text in [
        json!({"type": "ping", "id": "a"}).to_string(),
        json!({"type": "message.send", "id": id, "payload": {"channel_id": channel(1), "content": "hi"}})
            .to_string(),
        "no envelope".into(),
        json!({"type": "typing.start", "payload": {"channel_id": channel(1)}}).to_string(),
        json!({"type": "sync", "id": "s", "payload": {"channels": [{"channel_id": channel(1)}]}}).to_string(),
        json!({"type": "presence.set", "payload": {"status": "away"}}).to_string(),
    ] {
        bytes.extend(frame(Opcode::Text, text.as_bytes()));
        bytes.extend(frame(Opcode::Ping, b"between"));
    }
    bytes.extend(close_frame(1000));
    bytes
}

proptest! {
    /// What a session does and says doesn't depend on how the network cut the bytes.
    #[test]
    fn any_cut_of_the_bytes_is_the_same_life(mut cuts in prop::collection::vec(0..1_000_usize, 0..20)) {
        let (mut whole, mut cut) = (TestSession::member_of([1]), TestSession::member_of([1]));
        let bytes = conversation();
        let expected = (whole.bytes(&bytes), whole.sent());
        cuts.retain(|at| *at < bytes.len());
        cuts.sort_unstable();
        let (mut from, mut outputs) = (0, Vec::new());
        for at in cuts.into_iter().chain([bytes.len()]) {
            outputs.extend(cut.bytes(&bytes[from..at]));
            from = at;
        }
        prop_assert_eq!((outputs, cut.sent()), expected);
    }
}

#[test]
fn what_has_no_place_in_a_state_is_dropped() {
    let mut one = TestSession::accepted();
    assert_eq!(one.tell(Delivery::Probe), []);
    assert_eq!(one.tell(Delivery::Drain { after: Duration::from_secs(1) }), []);
    assert_eq!(one.tell(Delivery::Fenced), [], "who has not asked knows nothing that must not be said");
    assert_eq!(one.admit(), []);
    assert_eq!(one.call(Session::handle_stalled), []);
    assert!(one.host.queue.is_empty() && one.session.is_in_handshake());
    assert_eq!(one.time, START);
    let mut open = TestSession::open();
    assert_eq!((open.admit(), open.tell(Delivery::Pages(&[]))), (vec![], vec![]));
    assert!(open.sent().is_empty());
}
