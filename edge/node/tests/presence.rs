//! Who is there: what the backend is told, and what those who watch see.

mod support;

use std::time::Duration;

use ringside_application::backend::{BackendError, ConnectionEvent, LookAnswer, LookRequest};
use ringside_application::presence_view::PresenceView;
use ringside_domain::attention::Attention;
use ringside_edge_protocol::{ConnectionRef, PresenceChange, PresenceRequest, ToNode, ToShard};
use ringside_node::{Batch, Changing, Completion, Effect, Looking};
use ringside_ports::log::Record;
use ringside_ports::presence::Status;
use ringside_types::{ErrorCode, Offset, UserId};
use ringside_wire::records::PresenceChanged;
use ringside_wire::signals::PresenceStatus;
use support::{TestNode, user};

fn connected() -> (TestNode, ConnectionRef) {
    let mut test = TestNode::holding();
    let connection = test.connect(1, 4, &[]);
    tell(&mut test);
    test.deliveries();
    (test, connection)
}

/// The record of whom all edges are told; it is confirmed.
fn tell(test: &mut TestNode) -> Vec<UserId> {
    let (batch, appends) = test.effect(|effect| match effect {
        Effect::Append(batch @ Batch::Presence(_), appends) => Ok((batch, appends)),
        other => Err(other.into()),
    });
    let record = ringside_wire::decode::<PresenceChanged>(appends[0].payload.clone()).expect("a record");
    test.complete(Completion::Appended(batch, Ok(())));
    record.user_ids.iter().map(|id| UserId::from_slice(id).expect("an id")).collect()
}

fn changes(test: &mut TestNode) -> (Vec<Changing>, Vec<ConnectionEvent>) {
    test.effect(|effect| match effect {
        Effect::ChangePresence(changing, changes) => Ok((changing, changes)),
        other => Err(other.into()),
    })
}

fn looking(test: &mut TestNode) -> (Looking, LookRequest) {
    test.effect(|effect| match effect {
        Effect::Look(looking, asked) => Ok((looking, asked)),
        other => Err(other.into()),
    })
}

fn ask(test: &mut TestNode, connection: ConnectionRef, change: PresenceChange) {
    let request = PresenceRequest { connection, frame_id: Some("w".into()), user_id: user(1), change };
    test.request(ToNode::Presence(request));
}

fn changed(test: &mut TestNode, number: u128) {
    let user_ids = vec![user(number).as_bytes().to_vec().into()];
    let payload = ringside_wire::encode(&PresenceChanged { user_ids });
    test.node.handle_presence(vec![Record { offset: Offset(0), time: test.now.wall, payload }]);
}

fn view(number: u128, status: Status) -> PresenceView {
    let (says_until, last_seen_at) = (None, None);
    PresenceView { user_id: user(number), status, status_message: String::new(), says_until, last_seen_at }
}

fn seen(test: &mut TestNode) -> Vec<(u64, &'static str)> {
    let of_mail = |(_, mail)| match mail {
        ToShard::Presence(seen) => seen.iter().map(|one| (one.token, one.status)).collect(),
        _ => Vec::new(),
    };
    test.deliveries().into_iter().flat_map(of_mail).collect::<Vec<_>>()
}

#[test]
fn connections_that_end_are_told_in_one_call_at_a_time() {
    let mut test = TestNode::holding();
    let connections: Vec<_> = (1..=5_u64).map(|token| test.connect(u128::from(token), token, &[])).collect();
    for connection in &connections[..1] {
        test.request(ToNode::Closed { connection: *connection });
    }
    let (changing, first) = changes(&mut test);
    assert_eq!(first.len(), 1);
    for connection in &connections[1..] {
        test.request(ToNode::Closed { connection: *connection });
    }
    assert!(!test.effects().contains(&"change presence"), "one call at a time");
    test.complete(Completion::PresenceChanged(changing, vec![Ok(vec![])]));
    assert_eq!(changes(&mut test).1.len(), 4);
}

#[test]
fn whoever_watches_is_told_what_is_new_to_them() {
    let (mut test, connection) = connected();
    ask(&mut test, connection, PresenceChange::Watch(vec![user(2)]));
    let (first, asked) = looking(&mut test);
    assert_eq!(asked.viewers, [(user(1), vec![user(2)])]);
    let online = LookAnswer { viewers: vec![vec![view(2, Status::Online)]], ..LookAnswer::default() };
    test.complete(Completion::Looked(first, Ok(online)));
    assert_eq!(seen(&mut test), [(4, "online")]);
    for (status, expected) in [(Status::Online, vec![]), (Status::Away, vec![(4, "away")])] {
        changed(&mut test, 2);
        let (look, asked) = looking(&mut test);
        assert_eq!(asked.seen, [(user(2), vec![user(1)])]);
        let answer = LookAnswer { seen: vec![vec![view(2, status)]], ..LookAnswer::default() };
        test.complete(Completion::Looked(look, Ok(answer)));
        assert_eq!(seen(&mut test), expected);
    }
    ask(&mut test, connection, PresenceChange::Unwatch(vec![user(2)]));
    changed(&mut test, 2);
    assert!(test.effects().is_empty(), "nobody watches");
}

#[test]
fn what_somebody_says_of_themselves_is_looked_at_again_once_it_is_over() {
    let (mut test, connection) = connected();
    ask(&mut test, connection, PresenceChange::Watch(vec![user(2)]));
    let (look, _) = looking(&mut test);
    let busy = PresenceView {
        status_message: "busy".into(),
        says_until: Some(test.now.wall.plus_ms(1_000)),
        ..view(2, Status::Online)
    };
    let answer = LookAnswer { viewers: vec![vec![busy]], ..LookAnswer::default() };
    test.complete(Completion::Looked(look, Ok(answer)));
    assert_eq!(seen(&mut test), [(4, "online")]);
    let pass = |test: &mut TestNode| {
        test.advance(Duration::from_millis(500));
        test.beat();
    };
    pass(&mut test);
    assert!(test.effects().is_empty(), "they still say so");
    pass(&mut test);
    assert_eq!(looking(&mut test).1.seen, [(user(2), vec![user(1)])]);
}

#[test]
fn a_connection_that_is_gone_asks_for_nothing_any_more() {
    let (mut test, connection) = connected();
    let set = |status| PresenceChange::Set { status, status_message: None };
    ask(&mut test, connection, PresenceChange::Watch(vec![user(2)]));
    let (look, _) = looking(&mut test);
    ask(&mut test, connection, PresenceChange::Watch(vec![user(3)]));
    ask(&mut test, connection, set(PresenceStatus::Dnd));
    let (changing, _) = changes(&mut test);
    ask(&mut test, connection, set(PresenceStatus::Online));
    test.request(ToNode::Closed { connection });
    let (ended, _) = changes(&mut test);
    assert_eq!(ended, [Changing::Disconnected(user(1))]);
    test.complete(Completion::PresenceChanged(changing, vec![Ok(Vec::new())]));
    let answer = LookAnswer { viewers: vec![vec![view(2, Status::Online)]], ..LookAnswer::default() };
    test.complete(Completion::Looked(look, Ok(answer)));
    changed(&mut test, 2);
    assert_eq!(test.effects(), ["append presence"], "of its end");
    assert_eq!(seen(&mut test), []);
}

#[test]
fn a_look_that_fails_is_made_again() {
    let (mut test, connection) = connected();
    ask(&mut test, connection, PresenceChange::Watch(vec![user(2)]));
    let (look, _) = looking(&mut test);
    test.complete(Completion::Looked(look, Err(BackendError("away".into()))));
    assert!(test.effects().is_empty());
    assert_eq!(test.node.next_timeout(), test.now.instant + Duration::from_millis(200));
    test.wait(Duration::from_millis(200));
    let (_, asked) = looking(&mut test);
    assert_eq!(asked.viewers, [(user(1), vec![user(2)])]);
}

/// What one of a user's connections does while a look is under way may be in the look by half.
#[test]
fn a_user_who_changes_during_a_look_is_told_of_by_the_next() {
    let (mut test, connection) = connected();
    ask(&mut test, connection, PresenceChange::Watch(vec![user(2)]));
    let (look, _) = looking(&mut test);
    let other = test.connect(2, 5, &[]);
    test.request(ToNode::Closed { connection: other });
    let answer = LookAnswer { viewers: vec![vec![view(2, Status::Online)]], ..LookAnswer::default() };
    test.complete(Completion::Looked(look, Ok(answer)));
    assert_eq!(seen(&mut test), []);
    let (changing, _) = changes(&mut test);
    test.complete(Completion::PresenceChanged(changing, vec![Ok(vec![user(2)])]));
    tell(&mut test);
    changed(&mut test, 2);
    let (look, _) = looking(&mut test);
    let answer = LookAnswer { seen: vec![vec![view(2, Status::Offline)]], ..LookAnswer::default() };
    test.complete(Completion::Looked(look, Ok(answer)));
    assert_eq!(seen(&mut test), [(4, "offline")]);
}

#[test]
fn a_status_that_can_not_be_set_is_refused_and_all_edges_look_anew() {
    let (mut test, connection) = connected();
    let set = PresenceChange::Set { status: PresenceStatus::Dnd, status_message: Some("busy".into()) };
    ask(&mut test, connection, set);
    let (changing, asked) = changes(&mut test);
    let [ConnectionEvent::StatusSet { status: Status::Dnd, status_message, .. }] = &asked[..] else {
        panic!("{asked:?}")
    };
    assert_eq!(status_message.as_deref(), Some("busy"));
    test.complete(Completion::PresenceChanged(changing, vec![Err(BackendError("away".into()))]));
    let told = test.deliveries();
    let refused =
        |mail: &ToShard| matches!(mail, ToShard::SignalRefused { code: ErrorCode::Unavailable, .. });
    assert!(told.iter().any(|(_, mail)| refused(mail)), "{told:?}");
    assert_eq!(tell(&mut test), [user(1)]);
}

#[test]
fn whoever_is_away_has_their_shards_notify_them() {
    let (mut test, connection) = connected();
    ask(&mut test, connection, PresenceChange::Set { status: PresenceStatus::Away, status_message: None });
    let (changing, _) = changes(&mut test);
    test.complete(Completion::PresenceChanged(changing, vec![Ok(vec![user(1)])]));
    tell(&mut test);
    changed(&mut test, 1);
    let (look, asked) = looking(&mut test);
    assert_eq!(asked.away, [user(1)]);
    let answer = LookAnswer { away: vec![Some(Attention::default())], ..LookAnswer::default() };
    test.complete(Completion::Looked(look, Ok(answer)));
    let told = test.deliveries();
    assert!(matches!(&told[..], [(0, ToShard::Attention { attention: Some(_), .. })]), "{told:?}");
}

#[test]
fn changes_that_the_log_does_not_confirm_are_told_again() {
    let mut test = TestNode::holding();
    test.connect(1, 4, &[]);
    test.refuse_append();
    assert_eq!(test.node.next_timeout(), test.now.instant + Duration::from_millis(200));
    test.wait(Duration::from_millis(200));
    assert_eq!(tell(&mut test), [user(1)]);
}
