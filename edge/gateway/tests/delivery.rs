//! What a connection gets, and in which order: events, pages, memberships, and the moment between them.

mod support;

use std::sync::Arc;
use std::sync::atomic::Ordering;

use ringside_domain::page::{ChannelRead, ReadOutcome};
use ringside_edge_protocol::{Answer, ChannelEvent, Outcome, Submission, Subscription, ToNode, ToShard};
use ringside_reactor::Backend;
use ringside_types::{ChannelId, ErrorCode, MessageId};
use ringside_wire::records::{
    Amended, Edited, Effective, Member, Membership, MembershipKind, Reacted, amended, effective,
};
use serde_json::json;
use support::{
    AskedRead, CHANNEL, OTHER, TestShard, deadline, event, frame, is_silent, live, new_ids, say, user,
};

over_both_backends!(
    members_get_events_once_and_in_order,
    a_send_carries_who_and_where_and_is_answered_by_its_id,
    a_sync_is_pages_then_done_then_events,
    channels_of_a_sync_are_asked_for_at_once_and_those_deferred_again,
    what_comes_live_while_a_page_is_read_is_read_on,
    a_sync_of_a_foreign_channel_is_refused_and_the_others_go_on,
    a_sync_of_a_channel_made_a_moment_ago_waits_for_the_word_of_it,
    a_page_of_an_earlier_sync_is_dropped,
    a_new_member_starts_where_the_membership_does,
    what_is_hidden_from_a_joiner_stays_so_when_it_changes,
    a_newcomer_gets_nothing_that_waits_for_a_gap,
    who_was_removed_gets_not_one_more_event,
    who_was_removed_is_told_what_became_of_their_own,
    a_rejection_reaches_every_connection_of_the_sender,
    an_amendment_is_answered_and_rejected_by_the_name_that_it_had,
);

fn members_get_events_once_and_in_order(backend: Backend) {
    let shard = TestShard::new(backend);
    let (mut one, _) = shard.connect(1, &[live(CHANNEL, 10)]);
    let (mut two, _) = shard.connect(2, &[live(CHANNEL, 10)]);
    let (mut outsider, _) = shard.connect(3, &[live(OTHER, 10)]);
    shard.events(CHANNEL, &[9, 10, 11, 12, 12, 11, 13]);
    for client in [&mut one, &mut two] {
        assert_eq!(new_ids(client, 3), [11, 12, 13]);
        assert!(is_silent(client));
    }
    assert!(is_silent(&mut outsider));
    assert_eq!(shard.counters.deliveries.load(Ordering::Relaxed), 6);
    assert_eq!(shard.counters.delivery_seconds.snapshot().count(), 6, "once for each member");
}

fn a_send_carries_who_and_where_and_is_answered_by_its_id(backend: Backend) {
    let shard = TestShard::new(backend);
    let (mut client, connection) = shard.connect(1, &[live(CHANNEL, 10)]);
    let id = uuid::Uuid::from_u128(77).to_string();
    say(
        &mut client,
        &json!({"type": "message.send", "id": id, "payload": {"channel_id": CHANNEL, "content": "hi"}}),
    );
    let ToNode::Submit(Submission { frame_id, user_id, channel_id, record, known_member, taken_at, .. }) =
        shard.request()
    else {
        panic!("not a send");
    };
    assert_eq!(
        (frame_id.as_deref(), user_id, channel_id, known_member),
        (Some(&*id), user(1), CHANNEL, true)
    );
    let record: ringside_wire::records::Command = ringside_wire::decode(record).expect("a record");
    let Some(ringside_wire::records::command::Body::Send(send)) = record.body else { panic!("not a send") };
    assert_eq!(
        (send.content.as_str(), send.origin.as_ref().map(|origin| (origin.slot, origin.epoch))),
        ("hi", Some((3, 9)))
    );
    let answer =
        |outcome| Answer { token: connection.token, frame_id: Some(id.clone().into()), outcome, taken_at };
    let refused =
        Outcome::Refused { code: ErrorCode::RateLimited, message: "Slow down.", retry_after_ms: Some(5) };
    shard.post(ToShard::Answers(vec![answer(Outcome::Acknowledged), answer(refused)]));
    let ack = frame(&mut client);
    assert_eq!((&ack["type"], &ack["id"]), (&json!("message.ack"), &json!(id)));
    let error = frame(&mut client);
    assert_eq!((&error["id"], &error["payload"]["code"]), (&json!(id), &json!("rate_limited")));
    assert_eq!(shard.counters.ack_seconds.snapshot().count(), 1, "a refusal is no acknowledgement");
}

fn sync(client: &mut support::Client, channels: &serde_json::Value) {
    say(client, &json!({"type": "sync", "id": "s", "payload": {"channels": channels, "limit": 2}}));
}

fn a_sync_is_pages_then_done_then_events(backend: Backend) {
    let shard = TestShard::new(backend);
    let (mut client, _) = shard.connect(1, &[live(CHANNEL, 13)]);
    sync(&mut client, &json!([{"channel_id": CHANNEL, "last_message_id": "10"}]));
    let first = shard.read_request();
    assert_eq!((first.read.after, first.read.limit), (MessageId(10), 2));
    shard.events(CHANNEL, &[14]);
    shard.page(first, 11..13, 14, true);
    let second = shard.read_request();
    assert_eq!(second.read.after, MessageId(12));
    shard.page(second, 13..15, 14, false);
    let pages = [frame(&mut client), frame(&mut client)];
    assert_eq!(pages[0]["payload"]["messages"][1]["message_id"], "12", "{}", pages[0]);
    assert_eq!(
        (&pages[0]["payload"]["has_more"], &pages[1]["payload"]["has_more"]),
        (&json!(true), &json!(false))
    );
    let done = frame(&mut client);
    assert_eq!((&done["type"], &done["id"]), (&json!("sync.done"), &json!("s")));
    let channel = &done["payload"]["channels"][0];
    assert_eq!((&channel["last_message_id"], &channel["unread_count"]), (&json!("14"), &json!(2)));
    shard.events(CHANNEL, &[15]);
    assert_eq!(new_ids(&mut client, 1), [15], "14 came in a page, and only there");
}

fn channels_of_a_sync_are_asked_for_at_once_and_those_deferred_again(backend: Backend) {
    let shard = TestShard::new(backend);
    let channels: Vec<_> = (0..20).map(|number| ChannelId(uuid::Uuid::from_u128(number))).collect();
    let subscriptions: Vec<_> = channels.iter().map(|channel| live(*channel, 10)).collect();
    let (mut client, connection) = shard.connect(1, &subscriptions);
    let asked: Vec<_> =
        channels.iter().map(|channel| json!({"channel_id": channel, "last_message_id": "9"})).collect();
    sync(&mut client, &json!(asked));
    for (asked, pages) in [(20, 8), (8, 8), (4, 4)] {
        let reads = shard.read_requests();
        assert_eq!(reads.len(), asked);
        let outcome = |(place, asked): (usize, &AskedRead)| match place < pages {
            true => (asked.read, support::page_of(asked.read.channel_id, 10..11, 10, false)),
            false => (asked.read, ReadOutcome::Deferred),
        };
        let pages = reads.iter().enumerate().map(outcome).collect();
        shard.post(ToShard::Pages { token: connection.token, valid_until: deadline(), pages });
    }
    let kinds: Vec<_> = (0..21).map(|_| frame(&mut client)["type"].clone()).collect();
    assert!(kinds[..20].iter().all(|kind| kind == "sync.page") && kinds[20] == "sync.done", "{kinds:?}");
    assert!(shard.nothing_is_asked());
}

fn what_comes_live_while_a_page_is_read_is_read_on(backend: Backend) {
    let shard = TestShard::new(backend);
    let (mut client, _) = shard.connect(1, &[live(CHANNEL, 11)]);
    sync(&mut client, &json!([{"channel_id": CHANNEL, "last_message_id": "10"}]));
    let first = shard.read_request();
    // The page is read at a head of 11; before it arrives, 12 and 13 come live.
    shard.events(CHANNEL, &[12, 13]);
    shard.page(first, 11..12, 11, false);
    let second = shard.read_request();
    assert_eq!(second.read.after, MessageId(11));
    shard.page(second, 12..14, 13, false);
    assert_eq!(frame(&mut client)["type"], "sync.page");
    assert_eq!(new_ids(&mut client, 2), [12, 13]);
    assert_eq!(frame(&mut client)["type"], "sync.done");
    shard.events(CHANNEL, &[14]);
    assert_eq!(new_ids(&mut client, 1), [14]);
}

fn a_sync_of_a_foreign_channel_is_refused_and_the_others_go_on(backend: Backend) {
    let shard = TestShard::new(backend);
    let (mut client, _) = shard.connect(1, &[live(CHANNEL, 10)]);
    let channels = json!([
        {"channel_id": OTHER, "last_message_id": null},
        {"channel_id": CHANNEL, "last_message_id": "10"},
        {"channel_id": CHANNEL, "last_message_id": "10"},
    ]);
    sync(&mut client, &channels);
    let [first, second] = shard.read_requests()[..] else { panic!("two channels are asked for at once") };
    let (foreign, read) = if first.read.channel_id == OTHER { (first, second) } else { (second, first) };
    let refused = ToShard::PageRefused {
        token: foreign.connection.token,
        channel_id: foreign.read.channel_id,
        code: ErrorCode::NotAMember,
    };
    shard.post(refused);
    let error = frame(&mut client);
    assert_eq!((&error["id"], &error["payload"]["code"]), (&json!("s"), &json!("not_a_member")));
    shard.page(read, 11..11, 10, false);
    assert_eq!(frame(&mut client)["type"], "sync.page");
    let done = frame(&mut client);
    assert_eq!(done["payload"]["channels"].as_array().map(Vec::len), Some(1), "{done}");
    assert!(shard.nothing_is_asked());
}

fn a_sync_of_a_channel_made_a_moment_ago_waits_for_the_word_of_it(backend: Backend) {
    let shard = TestShard::new(backend);
    let (mut client, _) = shard.connect(2, &[]);
    sync(&mut client, &json!([{"channel_id": CHANNEL, "last_message_id": null}]));
    let read = shard.read_request();
    shard.post(ToShard::MemberAdded {
        user_id: user(2),
        subscription: live(CHANNEL, 20),
        from_id: MessageId(20),
        change: 1,
        membership: membership(MembershipKind::Added, 2),
    });
    shard.page(read, 21..21, 20, false);
    shard.events(CHANNEL, &[21]);
    assert_eq!(frame(&mut client)["type"], "channel.member_added");
    assert_eq!(frame(&mut client)["type"], "sync.page");
    let done = frame(&mut client);
    assert_eq!(done["payload"]["channels"].as_array().map(Vec::len), Some(1), "{done}");
    assert_eq!(new_ids(&mut client, 1), [21]);
}

fn a_page_of_an_earlier_sync_is_dropped(backend: Backend) {
    let shard = TestShard::new(backend);
    let (mut client, _) = shard.connect(1, &[live(CHANNEL, 12)]);
    sync(&mut client, &json!([{"channel_id": CHANNEL, "last_message_id": "10"}]));
    let read = shard.read_request();
    // A page of something else that was asked for before.
    let stale = AskedRead { read: ChannelRead { after: MessageId(4), ..read.read }, ..read };
    shard.page(stale, 5..7, 12, true);
    shard.page(read, 11..13, 12, false);
    let page = frame(&mut client);
    assert_eq!(page["payload"]["messages"][0]["message_id"], "11", "{page}");
    assert_eq!(frame(&mut client)["type"], "sync.done");
}

fn membership(kind: MembershipKind, number: u128) -> Arc<Membership> {
    Arc::new(Membership {
        channel_id: CHANNEL.as_bytes().to_vec().into(),
        version: 5,
        actor_id: user(9).as_bytes().to_vec().into(),
        kind: kind.into(),
        channel: None,
        members: vec![Member { user_id: user(number).as_bytes().to_vec().into(), role: "member".into() }],
    })
}

fn a_new_member_starts_where_the_membership_does(backend: Backend) {
    let shard = TestShard::new(backend);
    let (mut joiner, _) = shard.connect(2, &[]);
    let added = |last| ToShard::MemberAdded {
        user_id: user(2),
        subscription: Subscription {
            channel_id: CHANNEL,
            last,
            sees_above: MessageId::ZERO,
            waiting: MessageId::ZERO,
        },
        from_id: MessageId(20),
        change: 3,
        membership: membership(MembershipKind::Added, 2),
    };
    shard.post(added(None));
    let told = frame(&mut joiner);
    assert_eq!((&told["type"], &told["payload"]["change"]), (&json!("channel.member_added"), &json!(3)));
    let read = shard.read_request();
    assert_eq!((read.read.after, read.read.after_change), (MessageId(20), Some(3)));
    shard.post(ToShard::Live { channel_id: CHANNEL, last: MessageId(22) });
    shard.events(CHANNEL, &[23]);
    shard.page(read, 21..24, 23, false);
    assert_eq!(new_ids(&mut joiner, 3), [21, 22, 23], "what was before the join's answer is read");
    shard.post(added(Some(MessageId(23))));
    shard.events(CHANNEL, &[24]);
    assert_eq!(new_ids(&mut joiner, 1), [24], "a repeated word changes nothing");
    // Where the shard stands below the membership, what is above it comes live.
    let (mut late, _) = shard.connect(4, &[]);
    shard.post(ToShard::MemberAdded {
        user_id: user(4),
        subscription: live(CHANNEL, 24),
        from_id: MessageId(25),
        change: 4,
        membership: membership(MembershipKind::Added, 4),
    });
    shard.events(CHANNEL, &[25, 26]);
    assert_eq!(frame(&mut late)["type"], "channel.member_added");
    assert_eq!(new_ids(&mut late, 1), [26], "its own record is not news");
}

/// What waits for a gap is older than what a newcomer may have seen at another edge.
fn a_newcomer_gets_nothing_that_waits_for_a_gap(backend: Backend) {
    let shard = TestShard::new(backend);
    let (mut early, _) = shard.connect(1, &[live(CHANNEL, 20)]);
    let (mut late, _) = shard.connect(2, &[Subscription { waiting: MessageId(23), ..live(CHANNEL, 20) }]);
    shard.events(CHANNEL, &[21, 22, 23, 24, 25]);
    assert_eq!(new_ids(&mut late, 2), [24, 25]);
    assert_eq!(new_ids(&mut early, 5), [21, 22, 23, 24, 25]);
}

/// A member who joined at record 20 sees nothing of older messages but the numbers of their changes.
fn what_is_hidden_from_a_joiner_stays_so_when_it_changes(backend: Backend) {
    let shard = TestShard::new(backend);
    let (mut early, _) = shard.connect(1, &[live(CHANNEL, 20)]);
    let (mut joiner, _) =
        shard.connect(2, &[Subscription { sees_above: MessageId(20), ..live(CHANNEL, 20) }]);
    let amend = |id: u64, message_id: u64, change| {
        let amended =
            Amended { message_id, actor_id: user(1).as_bytes().to_vec().into(), change: Some(change) };
        let event = Some(effective::Event::Amended(amended));
        let effective = Effective { id, prev: id - 1, seq: 0, change: id - 20, event };
        ChannelEvent { channel_id: CHANNEL, effective }
    };
    let edited = || {
        let Some(effective::Event::Message(message)) = event(9, 8).event else { unreachable!() };
        amended::Change::Edited(Edited { message: Some(message), seq: 9, ..Edited::default() })
    };
    let reacted = Reacted { emoji: "👍".into(), count: 1, ..Reacted::default() };
    let events = [
        amend(21, 9, edited()),
        amend(22, 9, amended::Change::Reacted(reacted)),
        amend(23, 9, amended::Change::Pinned(true)),
        amend(24, 21, amended::Change::Pinned(true)),
        amend(25, 9, amended::Change::Deleted(true)),
    ];
    shard.post(ToShard::Events { valid_until: deadline(), events: events.into() });
    for change in [1, 2, 3, 4, 5] {
        let told = frame(&mut joiner);
        if change == 4 {
            assert_eq!(told["type"], "message.pinned", "what came after the joining is theirs");
            continue;
        }
        let hidden = json!({"channel_id": CHANNEL.to_string(), "change": change});
        assert_eq!(told, json!({"type": "message.hidden", "payload": hidden}));
    }
    let kinds: Vec<_> = (0..5).map(|_| frame(&mut early)["type"].clone()).collect();
    let all = ["message.updated", "reaction.updated", "message.pinned", "message.pinned", "message.deleted"];
    assert_eq!(kinds, all);
}

fn who_was_removed_gets_not_one_more_event(backend: Backend) {
    let shard = TestShard::new(backend);
    let (mut client, _) = shard.connect(2, &[live(CHANNEL, 10)]);
    let (mut other, _) = shard.connect(1, &[live(CHANNEL, 10)]);
    sync(&mut client, &json!([{"channel_id": CHANNEL, "last_message_id": "9"}]));
    let read = shard.read_request();
    shard.post(ToShard::MemberRemoved { user_id: user(2), channel_id: CHANNEL });
    shard.page(read, 10..11, 10, false);
    shard.events(CHANNEL, &[11]);
    let error = frame(&mut client);
    assert_eq!(error["payload"]["code"], "not_a_member", "{error}");
    assert_eq!(error["payload"]["channel_id"], CHANNEL.to_string(), "{error}");
    let done = frame(&mut client);
    assert_eq!(
        (&done["type"], done["payload"]["channels"].as_array().map(Vec::len)),
        (&json!("sync.done"), Some(0))
    );
    assert!(is_silent(&mut client));
    let membership = membership(MembershipKind::Removed, 2);
    shard.post(ToShard::Departed { users: vec![user(2)], channel_id: CHANNEL, change: 7, membership });
    let told = frame(&mut client);
    assert_eq!((&told["type"], &told["payload"]["change"]), (&json!("channel.member_removed"), &json!(7)));
    assert!(is_silent(&mut client));
    assert_eq!(new_ids(&mut other, 1), [11]);
}

/// A message of user 1, then one of user 2.
fn one_of_each(shard: &TestShard, channel_id: ChannelId, first: u64) {
    let mut of_other = event(first + 1, first);
    if let Some(effective::Event::Message(new)) = &mut of_other.event {
        new.sender_id = user(2).as_bytes().to_vec().into();
    }
    let events = [event(first, first - 1), of_other].map(|effective| ChannelEvent { channel_id, effective });
    shard.post(ToShard::Events { valid_until: deadline(), events: events.into() });
}

fn who_was_removed_is_told_what_became_of_their_own(backend: Backend) {
    let shard = TestShard::new(backend);
    let (mut client, _) = shard.connect(1, &[live(CHANNEL, 10), live(OTHER, 10)]);
    let (mut other, _) = shard.connect(2, &[live(CHANNEL, 10), live(OTHER, 10)]);
    shard.post(ToShard::MemberRemoved { user_id: user(1), channel_id: CHANNEL });
    one_of_each(&shard, CHANNEL, 11);
    assert_eq!(new_ids(&mut client, 1), [11], "stored before the membership ended");
    assert!(is_silent(&mut client), "what others say is not theirs any more");
    assert_eq!(new_ids(&mut other, 2), [11, 12]);
    // A member again: from there on everything, and each once.
    shard.post(ToShard::MemberAdded {
        user_id: user(1),
        subscription: live(CHANNEL, 12),
        from_id: MessageId(20),
        change: 3,
        membership: membership(MembershipKind::Added, 1),
    });
    assert_eq!(frame(&mut client)["type"], "channel.member_added");
    one_of_each(&shard, CHANNEL, 13);
    assert_eq!(new_ids(&mut client, 1), [13], "still of the membership before");
    one_of_each(&shard, CHANNEL, 21);
    assert_eq!(new_ids(&mut client, 2), [21, 22]);
    assert!(is_silent(&mut client));
    // Everybody goes, as when a channel is deleted.
    for number in [1, 2] {
        shard.post(ToShard::MemberRemoved { user_id: user(number), channel_id: OTHER });
    }
    one_of_each(&shard, OTHER, 11);
    assert_eq!(new_ids(&mut client, 1), [11]);
    assert!(is_silent(&mut client));
    assert_eq!(new_ids(&mut other, 5), [13, 14, 21, 22, 12]);
    assert!(is_silent(&mut other));
}

fn a_rejection_reaches_every_connection_of_the_sender(backend: Backend) {
    let shard = TestShard::new(backend);
    let (mut phone, _) = shard.connect(1, &[]);
    let (mut laptop, _) = shard.connect(1, &[]);
    let event = event(5, 4);
    let rejection = ringside_wire::records::Rejection {
        sender_id: user(1).as_bytes().to_vec().into(),
        client_id: uuid::Uuid::from_u128(event.id.into()).as_bytes().to_vec().into(),
        code: "not_a_member".into(),
        frame_id: String::new(),
    };
    shard.post(ToShard::Rejected { user_id: user(1), rejection });
    for client in [&mut phone, &mut laptop] {
        let frame = frame(client);
        assert_eq!(
            (&frame["type"], &frame["payload"]["code"]),
            (&json!("message.rejected"), &json!("not_a_member"))
        );
    }
}

fn an_amendment_is_answered_and_rejected_by_the_name_that_it_had(backend: Backend) {
    let shard = TestShard::new(backend);
    let (mut client, connection) = shard.connect(1, &[live(CHANNEL, 10)]);
    let key = uuid::Uuid::from_u128(78).to_string();
    for (id, named) in [(Some("abc"), Some("abc")), (Some(&*key), Some(&*key)), (None, None)] {
        let payload = json!({"channel_id": CHANNEL, "message_id": "5"});
        let mut said = json!({"type": "message.delete", "payload": payload});
        if let Some(id) = id {
            said["id"] = id.into();
        }
        say(&mut client, &said);
        let ToNode::Submit(Submission { frame_id, record, taken_at, .. }) = shard.request() else {
            panic!("not a send")
        };
        assert_eq!(frame_id.as_deref(), id);
        shard.post(ToShard::Answers(vec![Answer {
            token: connection.token,
            frame_id,
            outcome: Outcome::Acknowledged,
            taken_at,
        }]));
        assert_eq!(frame(&mut client).get("id").and_then(|id| id.as_str()), id);
        // As the partition makes it of the record.
        let record: ringside_wire::records::Command = ringside_wire::decode(record).expect("a record");
        let Some(ringside_wire::records::command::Body::Amend(amend)) = record.body else {
            panic!("not an amendment")
        };
        let rejection = ringside_wire::records::Rejection {
            sender_id: amend.sender_id,
            client_id: amend.client_id,
            code: "not_found".into(),
            frame_id: amend.origin.expect("an origin").frame_id,
        };
        shard.post(ToShard::Rejected { user_id: user(1), rejection });
        let rejected = frame(&mut client)["payload"]["client_id"].as_str().map(str::to_owned);
        assert!(rejected.is_some() && (named.is_none() || rejected.as_deref() == named), "{rejected:?}");
    }
}
