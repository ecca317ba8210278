//! What a session costs in memory: nothing for what idle connections do, and one small box while it is open.

mod support;

use allocation_counter::measure;
use ringside_session::delivery::{Delivery, Outcome};
use ringside_session::session::Session;
use ringside_types::UserId;
use ringside_websocket::Opcode;
use ringside_wire::signals::PresenceUpdated;
use serde_json::json;
use support::{HEARTBEAT, TestSession, bearer, channel, frame, request, token};
use uuid::Uuid;

/// What the allocator gives for an open connection at the most, in bytes.
const OPEN_BYTES_MAX: i64 = 160;

/// Allocations of a call that was made before, so that queue, outputs and scratch have grown.
fn allocations(one: &mut TestSession, mut call: impl FnMut(&mut TestSession)) -> u64 {
    call(one);
    one.call(|_, _| {});
    one.host.queue.clear();
    measure(|| call(one)).count_total
}

#[test]
fn frames_and_deliveries_allocate_nothing() {
    let mut one = TestSession::member_of([1]);
    for (opcode, payload) in [
        (Opcode::Ping, "hi".to_owned()),
        (Opcode::Pong, String::new()),
        (Opcode::Text, json!({"type": "ping"}).to_string()),
        (Opcode::Text, json!({"type": "typing.start", "payload": {"channel_id": channel(1)}}).to_string()),
    ] {
        let bytes = frame(opcode, payload.as_bytes());
        let mut received = [bytes.clone(), bytes].into_iter();
        let count = allocations(&mut one, |one| {
            let mut bytes = received.next().expect("two calls");
            one.call_only(|session, context| session.handle_bytes(&mut bytes, context));
        });
        assert_eq!(count, 0, "{payload}");
    }
    let user_id = UserId(Uuid::from_u128(2));
    let count = allocations(&mut one, |one| {
        let update = PresenceUpdated { user_id, status: "away", status_message: None, last_seen_at: None };
        one.call_only(|session, context| session.handle_delivery(Delivery::Presence(update), context));
    });
    assert_eq!(count, 0, "presence");
    let count = allocations(&mut one, |one| {
        one.pass(HEARTBEAT);
        one.call_only(Session::handle_timeout);
    });
    assert_eq!(count, 0, "a heartbeat");
    let count = allocations(&mut one, |one| {
        let answer = Delivery::Answer { frame_id: Some("x"), outcome: &Outcome::Acknowledged };
        one.call_only(|session, context| session.handle_delivery(answer, context));
    });
    assert_eq!(count, 1, "an acknowledgement: its id as JSON");
}

#[test]
fn an_open_connection_is_one_small_box() {
    let mut one = TestSession::accepted();
    let request = request(&[&bearer(&token())]);
    let (profile, budget) = (std::sync::Arc::new(support::profile()), one.budget.clone());
    let mut admitted = Some(Delivery::Admitted { profile, budget, channels: Vec::new() });
    one.call_only(Session::handle_eviction);
    one.host.queue.reserve(4_096);
    one.forget_buffers();
    let grown = measure(|| {
        one.begin_anew();
        let mut bytes = request.clone().into_bytes();
        one.call_only(|session, context| session.handle_bytes(&mut bytes, context));
        one.call_only(|session, context| session.handle_delivery(admitted.take().expect("once"), context));
        one.forget_buffers();
    });
    assert!(one.session.is_live());
    assert!((1..=OPEN_BYTES_MAX).contains(&grown.bytes_current), "{grown:?}");
}
