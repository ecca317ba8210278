//! What clients are sent of records: which frames, what they say, and who is told apart.

mod support;

use bytes::Bytes;
use ringside_session::frames::{
    Departing, author, departing, membership_events, tells_of, write, write_effective, write_rejection,
};
use ringside_types::{MessageId, PartitionId, UserId};
use ringside_websocket::{Connection, Event, Limits, Role};
use ringside_wire::InvalidRecord;
use ringside_wire::records::{
    Amended, Channel, Edited, Effective, Member, Membership, MembershipKind, NewMessage, Reacted, Rejection,
    Settings, amended, effective,
};
use serde_json::{Value, json};
use support::{START, USER, channel, profile};
use uuid::Uuid;

const OTHER: UserId = UserId(Uuid::from_u128(2));
/// The message that is amended.
const MESSAGE: MessageId = MessageId(5);

fn id(user: UserId) -> Bytes {
    user.as_bytes().to_vec().into()
}

/// The channel's seventh change, by its record of that time.
fn record(event: effective::Event) -> Effective {
    let record = MessageId::following(MessageId::ZERO, START, PartitionId(3));
    Effective { id: record.0, prev: 6, seq: 4, change: 7, event: Some(event) }
}

fn amendment(change: amended::Change) -> Effective {
    record(effective::Event::Amended(Amended {
        message_id: MESSAGE.0,
        actor_id: id(USER),
        change: Some(change),
    }))
}

fn membership(kind: MembershipKind) -> Membership {
    let member = |user, role: &str| Member { user_id: id(user), role: role.into() };
    Membership {
        channel_id: channel(1).as_bytes().to_vec().into(),
        version: 3,
        actor_id: id(USER),
        kind: kind.into(),
        channel: Some(Channel {
            name: "den".into(),
            r#type: "group".into(),
            creator_id: id(USER),
            description: "Of foxes".into(),
            created_at_ms: START.0,
            topic: "Hens".into(),
            settings: Some(Settings { slow_mode_s: 5, history_from_join: true, ..Settings::default() }),
        }),
        members: vec![member(OTHER, "admin"), member(USER, "member")],
    }
}

fn message() -> NewMessage {
    NewMessage {
        client_id: Uuid::from_u128(9).as_bytes().to_vec().into(),
        sender_id: id(USER),
        sender: Some(profile()),
        content: "hi".into(),
        ..NewMessage::default()
    }
}

/// Frames as a client reads them: their types and payloads.
fn read(mut bytes: Vec<u8>) -> Vec<(String, Value)> {
    let mut client = Connection::new(Role::Client, Limits { max_message_bytes: 1 << 20 });
    let mut frames = Vec::new();
    let received = client.receive(&mut bytes, &mut |event| {
        let Event::Text(text) = event else { panic!("not a text frame") };
        let mut frame: Value = serde_json::from_slice(text).expect("JSON");
        frames.push((frame["type"].as_str().expect("a type").to_owned(), frame["payload"].take()));
    });
    received.expect("whole frames");
    frames
}

/// What a reader is sent of a record from whom messages up to this one are hidden.
fn told(effective: &Effective, sees_above: MessageId) -> Result<Vec<(String, Value)>, InvalidRecord> {
    let mut out = Vec::new();
    write_effective(&mut out, &mut Vec::new(), channel(1), effective, sees_above)?;
    Ok(read(out))
}

#[test]
fn a_message_is_told_as_it_was_sent() {
    let new = record(effective::Event::Message(message()));
    let frames = told(&new, MessageId::ZERO).expect("a message");
    let [(kind, payload)] = &frames[..] else { panic!("{frames:?}") };
    assert_eq!(
        (kind.as_str(), &payload["content"], &payload["seq"]),
        ("message.new", &json!("hi"), &json!(4))
    );
    assert_eq!(payload["sender"]["username"], json!("user1"));
    assert_eq!((author(&new), tells_of(&new), departing(&new)), (Some(USER), None, Departing::Nobody));
}

#[test]
fn an_edit_is_told_as_the_message_is_now() {
    for (edited_at_ms, deleted) in [(START.0, false), (0, true)] {
        let edited = Edited { message: Some(message()), seq: 2, edited_at_ms, deleted, ..Edited::default() };
        let frames = told(&amendment(amended::Change::Edited(edited)), MessageId::ZERO).expect("an edit");
        let [(kind, payload)] = &frames[..] else { panic!("{frames:?}") };
        assert_eq!(kind, "message.updated");
        for (name, value) in [
            ("message_id", json!("5")),
            ("seq", json!(2)),
            ("change", json!(7)),
            ("content", json!("hi")),
            ("edited_at", if deleted { Value::Null } else { json!(START) }),
            ("deleted", if deleted { json!(true) } else { Value::Null }),
        ] {
            assert_eq!(payload[name], value, "{name}");
        }
    }
}

#[test]
fn each_other_change_of_a_message_is_told_by_an_event_of_its_own() {
    let reacted = |removed| {
        let users = vec![id(OTHER), id(USER)];
        amended::Change::Reacted(Reacted { emoji: "+1".into(), removed, count: 2, users })
    };
    let about = |more: Value| {
        let mut payload = json!({"channel_id": channel(1), "message_id": "5", "change": 7});
        payload.as_object_mut().expect("an object").extend(more.as_object().expect("an object").clone());
        payload
    };
    let reaction =
        |op| about(json!({"emoji": "+1", "count": 2, "users": [OTHER, USER], "user_id": USER, "op": op}));
    for (change, kind, payload) in [
        (amended::Change::Deleted(true), "message.deleted", about(json!({"deleted_at": START}))),
        (reacted(false), "reaction.updated", reaction("add")),
        (reacted(true), "reaction.updated", reaction("remove")),
        (amended::Change::Pinned(true), "message.pinned", about(json!({"actor_id": USER}))),
        (amended::Change::Pinned(false), "message.unpinned", about(json!({"actor_id": USER}))),
    ] {
        let record = amendment(change);
        let seen = told(&record, MessageId(MESSAGE.0 - 1));
        assert_eq!(seen, Ok(vec![(kind.to_owned(), payload)]), "{record:?}");
        let hidden = json!({"channel_id": channel(1), "change": 7});
        assert_eq!(told(&record, MESSAGE), Ok(vec![("message.hidden".to_owned(), hidden)]), "{kind}");
        assert_eq!((author(&record), tells_of(&record)), (Some(USER), Some(MESSAGE)), "{kind}");
        assert_eq!(departing(&record), Departing::Nobody, "{kind}");
    }
}

#[test]
fn a_change_of_a_channel_is_told_with_what_it_is_now() {
    use MembershipKind::{Created, Deleted, Updated};
    let payload = json!({
        "id": channel(1), "name": "den", "type": "group", "creator_id": USER, "description": "Of foxes",
        "created_at": START, "topic": "Hens", "actor_id": USER, "change": 7,
        "settings": {"slow_mode_s": 5, "who_may_post": "everyone", "history_for_joiners": "from_join"},
    });
    for (kind, name, departs) in [
        (Created, "channel.created", Departing::Nobody),
        (Updated, "channel.updated", Departing::Nobody),
        (Deleted, "channel.deleted", Departing::Everyone),
    ] {
        let record = record(effective::Event::Membership(membership(kind)));
        assert_eq!(told(&record, MESSAGE), Ok(vec![(name.to_owned(), payload.clone())]));
        assert_eq!((departing(&record), author(&record), tells_of(&record)), (departs, None, None), "{name}");
    }
}

#[test]
fn a_change_of_members_is_told_of_each_or_of_one() {
    use MembershipKind::{Added, Removed, Role};
    for (kind, name, departs) in [
        (Added, "channel.member_added", Departing::Nobody),
        (Role, "channel.member_updated", Departing::Nobody),
        (Removed, "channel.member_removed", Departing::These(vec![OTHER, USER])),
    ] {
        let change = membership(kind);
        let of = |user, role| {
            let payload = json!({"channel_id": channel(1), "user_id": user, "role": role, "actor_id": USER, "change": 7});
            (name.to_owned(), payload)
        };
        let of_one = membership_events(channel(1), &change, Some(USER), 7).expect("events");
        let mut out = Vec::new();
        of_one.iter().for_each(|event| write(&mut out, &mut Vec::new(), None, event));
        assert_eq!(read(out), [of(USER, "member")]);
        let record = record(effective::Event::Membership(change));
        assert_eq!(told(&record, MESSAGE), Ok(vec![of(OTHER, "admin"), of(USER, "member")]));
        assert_eq!(departing(&record), departs, "{name}");
    }
}

#[test]
fn a_record_that_lacks_something_is_told_to_nobody() {
    let edited = |message| amended::Change::Edited(Edited { message, ..Edited::default() });
    let of_channel = |kind, change: fn(&mut Membership)| {
        let mut membership = membership(kind);
        change(&mut membership);
        record(effective::Event::Membership(membership))
    };
    let nothing = Amended { message_id: MESSAGE.0, actor_id: id(USER), change: None };
    let nothing = record(effective::Event::Amended(nothing));
    for (record, field) in [
        (Effective { event: None, ..nothing.clone() }, "event"),
        (nothing, "change"),
        (amendment(edited(None)), "message"),
        (amendment(edited(Some(NewMessage { client_id: Bytes::new(), ..message() }))), "client_id"),
        (of_channel(MembershipKind::Closed, |_| {}), "kind"),
        (of_channel(MembershipKind::Updated, |change| change.channel = None), "channel"),
        (of_channel(MembershipKind::Added, |change| change.actor_id = Bytes::new()), "user_id"),
    ] {
        assert_eq!(told(&record, MessageId::ZERO), Err(InvalidRecord::Field(field)), "{record:?}");
    }
}

#[test]
fn a_rejection_names_the_request_and_says_why() {
    let client_id = Uuid::from_u128(9);
    let told = |client_id: &[u8], frame_id: &str, code: &str| {
        let (client_id, code) = (client_id.to_vec().into(), code.into());
        let rejection = Rejection { sender_id: id(USER), client_id, code, frame_id: frame_id.into() };
        let mut out = Vec::new();
        write_rejection(&mut out, &mut Vec::new(), &rejection);
        read(out)
    };
    for (code, words) in [
        ("not_a_member", "not a member"),
        ("bad_request", "as many different reactions"),
        ("not_found", "not there"),
        ("forbidden", "not allowed"),
    ] {
        for (frame_id, named) in [("", client_id.to_string()), ("own", "own".to_owned())] {
            let frames = told(client_id.as_bytes(), frame_id, code);
            let [(kind, payload)] = &frames[..] else { panic!("{frames:?}") };
            assert_eq!(kind, "message.rejected");
            assert_eq!((&payload["client_id"], &payload["code"]), (&json!(named), &json!(code)));
            assert!(payload["message"].as_str().is_some_and(|said| said.contains(words)), "{payload}");
        }
    }
    assert_eq!(told(b"no id", "own", "forbidden"), []);
}
