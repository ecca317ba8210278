//! Reading what was missed: what the node is asked, in how many requests, and what the client gets.

mod support;

use ringside_domain::page::{ChannelRead, ReadOutcome};
use ringside_domain::reactions::ReactionSummary;
use ringside_domain::rows::{ChangeRow, MessageRow, WriteTimestamp};
use ringside_session::cursor::Cursor;
use ringside_session::delivery::Delivery;
use ringside_session::limits::{PAGES_UNDER_WAY_MAX, READ_BELOW_BYTES, SYNCS_WAITING_MAX};
use ringside_session::output::Output;
use ringside_session::session::Session;
use ringside_types::{ChannelId, ErrorCode, MessageId};
use ringside_wire::InvalidRecord;
use ringside_wire::records::{Amended, ChangeBody, Edited, amended, change_body};
use serde_json::{Value, json};
use support::{Sent, TestSession, USER, channel, page};

/// A `sync` of these channels, of each of which the client has everything up to a record.
fn sync(channels: impl IntoIterator<Item = (u128, u64)>) -> Value {
    let channels: Vec<Value> = channels
        .into_iter()
        .map(|(number, has)| json!({"channel_id": channel(number), "last_message_id": has.to_string()}))
        .collect();
    json!({"type": "sync", "id": "s", "payload": {"channels": channels, "limit": 2}})
}

fn reading(number: u128) -> Output {
    Output::SetCursor(channel(number), Cursor::Reading)
}

fn live(number: u128, floor: u64) -> Output {
    Output::SetCursor(channel(number), Cursor::Live { floor: MessageId(floor) })
}

/// The parts of the one read among outputs, and how many may bring something.
fn asked(outputs: &[Output]) -> (Vec<ChannelRead>, usize) {
    let reads: Vec<_> = outputs.iter().filter(|output| matches!(output, Output::Read { .. })).collect();
    let [Output::Read { user_id: USER, channels, pages_max }] = reads[..] else { panic!("{outputs:?}") };
    (channels.clone(), *pages_max)
}

fn ids(read: &[ChannelRead]) -> Vec<ChannelId> {
    read.iter().map(|read| read.channel_id).collect()
}

fn types(sent: &[Sent]) -> Vec<&str> {
    sent.iter()
        .map(|sent| match sent {
            Sent::Json(frame) => frame["type"].as_str().expect("a type"),
            other => panic!("{other:?}"),
        })
        .collect()
}

#[test]
fn a_sync_of_100_channels_in_which_nothing_changed_costs_one_batched_call() {
    let mut one = TestSession::member_of(0..100);
    let outputs = one.say(&sync((0..100).map(|number| (number, 10))));
    let (reads, pages_max) = asked(&outputs);
    assert_eq!((reads.len(), pages_max), (100, PAGES_UNDER_WAY_MAX));
    let expected: Vec<Output> = (0..100).map(reading).collect();
    assert_eq!(outputs[..100], expected, "no event from here on");
    assert!(reads.iter().all(|read| (read.after, read.limit) == (MessageId(10), 2)));
    let pages: Vec<_> = reads.iter().map(|read| (*read, page(read, 10))).collect();
    let outputs = one.tell(Delivery::Pages(&pages));
    let expected: Vec<Output> = (0..100).map(|number| live(number, 10)).collect();
    assert_eq!(outputs, expected, "nothing more is asked");
    let sent = one.sent();
    let [pages @ .., done] = &types(&sent)[..] else { panic!("nothing was sent") };
    assert_eq!((pages, *done), (&["sync.page"; 100][..], "sync.done"));
    assert_eq!(one.counts.pages, 100);
}

#[test]
fn what_is_deferred_is_asked_for_as_pages_come_back() {
    let mut one = TestSession::member_of(0..30);
    let (reads, _) = asked(&one.say(&sync((0..30).map(|number| (number, if number < 10 { 10 } else { 9 })))));
    let mut missing = 0;
    let answers: Vec<_> = reads
        .iter()
        .map(|read| {
            missing += usize::from(read.after == MessageId(9));
            let is_deferred = missing > PAGES_UNDER_WAY_MAX;
            (*read, if is_deferred { ReadOutcome::Deferred } else { page(read, 10) })
        })
        .collect();
    let outputs = one.tell(Delivery::Pages(&answers));
    let (reads, pages_max) = asked(&outputs);
    assert_eq!(ids(&reads), (18..26).map(channel).collect::<Vec<_>>());
    assert_eq!(pages_max, PAGES_UNDER_WAY_MAX);
    assert_eq!(one.sent().len(), 18, "ten in which nothing changed, and eight pages");
    // Each page that comes alone makes room for the next.
    let outputs = one.tell(Delivery::Pages(&[(reads[0], page(&reads[0], 10))]));
    let (next, pages_max) = asked(&outputs);
    assert_eq!((ids(&next), pages_max), (vec![channel(26)], 1));
    let rest: Vec<_> = reads[1..].iter().chain(&next).map(|read| (*read, page(read, 10))).collect();
    let (last, _) = asked(&one.tell(Delivery::Pages(&rest)));
    assert_eq!(ids(&last), [27, 28, 29].map(channel));
    let last: Vec<_> = last.iter().map(|read| (*read, page(read, 10))).collect();
    assert_eq!(one.tell(Delivery::Pages(&last)), [live(27, 10), live(28, 10), live(29, 10)]);
    let sent = one.sent();
    let Some(Sent::Json(done)) = sent.last() else { panic!("{sent:?}") };
    assert_eq!((&done["type"], &done["id"]), (&json!("sync.done"), &json!("s")));
    assert_eq!(done["payload"]["channels"].as_array().map(Vec::len), Some(30));
}

#[test]
fn each_page_makes_room_for_one_more_whatever_it_brings() {
    for brings in ["messages", "changes", "nothing"] {
        let mut one = TestSession::member_of(0..30);
        let (reads, _) = asked(&one.say(&sync((0..30).map(|number| (number, 9)))));
        assert_eq!(one.tell(Delivery::Pages(&[(reads[8], ReadOutcome::Deferred)])), []);
        let ReadOutcome::Page(mut page) = page(&reads[0], 10) else { panic!("no page") };
        if brings != "messages" {
            page.messages.clear();
        }
        if brings == "changes" {
            page.changes.push(pinned(channel(0), MessageId(10)));
        }
        let outputs = one.tell(Delivery::Pages(&[(reads[0], ReadOutcome::Page(page))]));
        let reads = outputs.iter().filter(|output| matches!(output, Output::Read { .. })).count();
        assert_eq!(reads, usize::from(brings != "nothing"), "{brings}: eight others may still bring some");
    }
}

/// A change of message 9: it is pinned.
fn pinned(channel_id: ChannelId, record_id: MessageId) -> ChangeRow {
    change(channel_id, record_id, amended::Change::Pinned(true))
}

fn change(channel_id: ChannelId, record_id: MessageId, change: amended::Change) -> ChangeRow {
    let actor_id = USER.as_bytes().to_vec().into();
    let amended = Amended { message_id: 9, actor_id, change: Some(change) };
    let body = ChangeBody { event: Some(change_body::Event::Amended(amended)) };
    ChangeRow {
        channel_id,
        change: 1,
        record_id,
        prev: MessageId(record_id.0 - 1),
        seq: 10,
        body: ringside_wire::encode(&body),
        stamp: WriteTimestamp(1),
    }
}

/// A page of the messages 9 and 10, the second deleted, with reactions to both; and the change 11, an edit of the first.
fn page_with_all(read: &ChannelRead) -> ReadOutcome {
    let ReadOutcome::Page(mut page) = page(read, 10) else { panic!("no page") };
    page.messages[1].deleted_record = MessageId(12);
    let tally = |message: u64, emoji: &str, is_own| ReactionSummary {
        message_id: MessageId(message),
        emoji: emoji.into(),
        count: 2,
        users: vec![USER],
        is_own,
    };
    page.tallies = vec![tally(9, "+1", true), tally(9, "-1", false), tally(10, "+1", true)];
    let edit = amended::Change::Edited(Edited::default());
    page.changes.push(change(read.channel_id, MessageId(11), edit));
    page.edited.push(MessageRow { content: "edited".into(), ..page.messages[0].clone() });
    ReadOutcome::Page(page)
}

#[test]
fn a_page_says_who_sent_what_and_how_reactions_stand() {
    let mut one = TestSession::member_of([1]);
    let (reads, _) = asked(&one.say(&sync([(1, 8)])));
    one.tell(Delivery::Pages(&[(reads[0], page_with_all(&reads[0]))]));
    let sent = one.sent();
    let [Sent::Json(page), ..] = &sent[..] else { panic!("{sent:?}") };
    let [first, second] = [0, 1].map(|place| &page["payload"]["messages"][place]);
    let reaction = |emoji: &str, me: bool| json!({"emoji": emoji, "count": 2, "users": [USER], "me": me});
    assert_eq!(first["reactions"], json!([reaction("+1", true), reaction("-1", false)]));
    assert_eq!((&second["deleted"], &second["reactions"]), (&json!(true), &Value::Null));
    assert_eq!([first, second].map(|message| &message["sender"]["username"]), ["user1", "user1"]);
    let edit = &page["payload"]["changes"][0];
    assert_eq!((&edit["type"], &edit["payload"]["content"]), (&json!("message.updated"), &json!("edited")));
    assert_eq!(edit["payload"]["sender"]["username"], "user1");
}

#[test]
fn messages_and_changes_that_follow_as_events_come_in_the_order_of_their_records() {
    let mut one = TestSession::member_of([1]);
    let (channel_id, from_id) = (channel(1), MessageId(8));
    let joined = Delivery::Joined { channel_id, from_id, change: 0, comes_live: false };
    let (reads, _) = asked(&one.tell(joined));
    let ReadOutcome::Page(mut page) = page_with_all(&reads[0]) else { panic!("no page") };
    page.messages[1].message_id = MessageId(13);
    page.changes.insert(0, pinned(channel_id, MessageId(12)));
    one.tell(Delivery::Pages(&[(reads[0], ReadOutcome::Page(page))]));
    let sent = one.sent();
    let expected = ["message.new", "message.updated", "message.pinned", "message.new"];
    assert_eq!(types(&sent), expected);
    let [Sent::Json(new), ..] = &sent[..] else { panic!("{sent:?}") };
    assert_eq!(new["payload"]["sender"]["username"], "user1");
}

#[test]
fn a_page_that_can_not_be_shown_is_reported() {
    let mut one = TestSession::member_of([1]);
    let (reads, _) = asked(&one.say(&sync([(1, 8)])));
    let ReadOutcome::Page(mut page) = page_with_all(&reads[0]) else { panic!("no page") };
    page.edited.clear();
    let outputs = one.tell(Delivery::Pages(&[(reads[0], ReadOutcome::Page(page))]));
    let reported = Output::InvalidPage(channel(1), InvalidRecord::Field("message"));
    assert!(outputs.contains(&reported), "{outputs:?}");
}

#[test]
fn a_channel_is_read_to_its_end_and_what_came_meanwhile_follows_as_events() {
    let mut one = TestSession::member_of([1]);
    let (first, _) = asked(&one.say(&sync([(1, 7)])));
    let (second, _) = asked(&one.tell(Delivery::Pages(&[(first[0], page(&first[0], 10))])));
    assert_eq!((second[0].after, second[0].limit), (MessageId(9), 2));
    // The shard sees 11 and 12 before the last page comes, which was read at a head of 10.
    one.host.last_records.insert(channel(1), MessageId(12));
    let (third, _) = asked(&one.tell(Delivery::Pages(&[(second[0], page(&second[0], 10))])));
    assert_eq!((third[0].after, third[0].reset_above), (MessageId(10), 0));
    assert_eq!(one.tell(Delivery::Pages(&[(third[0], page(&third[0], 12))])), [live(1, 12)]);
    let expected = ["sync.page", "sync.page", "message.new", "message.new", "sync.done"];
    assert_eq!(types(&one.sent()), expected);
}

#[test]
fn a_client_that_has_not_taken_what_was_sent_waits() {
    let mut one = TestSession::member_of([1]);
    one.host.in_flight = READ_BELOW_BYTES + 1;
    assert_eq!(one.say(&sync([(1, 10)])), [reading(1), Output::Stalled]);
    assert_eq!(one.call(Session::handle_stalled), [Output::Stalled], "still");
    assert_eq!(one.tell(Delivery::Left { channel_id: channel(2) }), [], "the host comes back once");
    one.host.in_flight = READ_BELOW_BYTES;
    assert_eq!(asked(&one.call(Session::handle_stalled)).0.len(), 1);
    assert_eq!(one.call(Session::handle_stalled), [], "nothing more is to be asked");
    // So it does while the node has no room.
    let mut one = TestSession::member_of([1]);
    one.node_room = 1;
    assert_eq!(one.say(&sync([(1, 10)])), [reading(1), Output::Stalled]);
    assert_eq!(asked(&one.call(Session::handle_stalled)).0.len(), 1);
}

#[test]
fn a_foreign_channel_is_refused_and_the_others_go_on() {
    let mut one = TestSession::member_of([1]);
    let outputs = one.say(&sync([(2, 10), (1, 10), (1, 10)]));
    assert_eq!(outputs[0], reading(1), "of the other the index knows nothing");
    let (reads, _) = asked(&outputs);
    assert_eq!(ids(&reads), [1, 2].map(channel));
    let refused = Delivery::PageRefused { channel_id: channel(2), code: ErrorCode::NotAMember };
    assert_eq!(one.tell(refused), []);
    let error = one.sent_json();
    assert_eq!((&error["id"], &error["payload"]["code"]), (&json!("s"), &json!("not_a_member")));
    assert_eq!(error["payload"]["channel_id"], json!(channel(2)));
    assert_eq!(one.tell(Delivery::Pages(&[(reads[0], page(&reads[0], 10))])), [live(1, 10)]);
    let sent = one.sent();
    let [Sent::Json(_), Sent::Json(done)] = &sent[..] else { panic!("{sent:?}") };
    assert_eq!(done["payload"]["channels"].as_array().map(Vec::len), Some(1));
}

#[test]
fn a_channel_joined_late_is_read_as_events_unless_all_of_it_comes_live() {
    let joined = |comes_live| Delivery::Joined {
        channel_id: channel(1),
        from_id: MessageId(8),
        change: 3,
        comes_live,
    };
    let mut one = TestSession::member_of([1]);
    assert_eq!(one.tell(joined(true)), [live(1, 8)]);
    let mut one = TestSession::member_of([1]);
    let outputs = one.tell(joined(false));
    assert_eq!(outputs[0], reading(1));
    let (reads, _) = asked(&outputs);
    let [ChannelRead { after: MessageId(8), after_change: Some(3), reset_above: 0, .. }] = reads[..] else {
        panic!("{reads:?}")
    };
    assert_eq!(one.tell(Delivery::Pages(&[(reads[0], page(&reads[0], 10))])), [live(1, 10)]);
    assert_eq!(types(&one.sent()), ["message.new", "message.new"], "no sync asked for it");
    // A sync of another channel that is under way changes nothing of it.
    let mut one = TestSession::member_of([1, 2]);
    asked(&one.say(&sync([(2, 9)])));
    let outputs = one.tell(joined(false));
    assert_eq!((&outputs[0], ids(&asked(&outputs).0)), (&reading(1), vec![channel(1)]));
    // A sync that asked for the channel before the word of it came has its own read under way.
    let mut one = TestSession::open();
    let (reads, _) = asked(&one.say(&sync([(1, 9)])));
    one.host.members.insert(channel(1));
    one.host.last_records.insert(channel(1), MessageId(10));
    assert_eq!(one.tell(joined(false)), [reading(1)]);
    assert_eq!(one.tell(Delivery::Pages(&[(reads[0], page(&reads[0], 10))])), [live(1, 10)]);
    assert_eq!(types(&one.sent()), ["sync.page", "sync.done"]);
}

#[test]
fn who_left_gets_no_page_more() {
    let mut one = TestSession::member_of([1, 2]);
    let (reads, _) = asked(&one.say(&sync([(1, 9), (2, 9)])));
    one.host.members.remove(&channel(1));
    assert_eq!(one.tell(Delivery::Left { channel_id: channel(1) }), []);
    assert_eq!(one.sent_json()["payload"]["code"], "not_a_member");
    let late = [(reads[0], page(&reads[0], 10)), (reads[1], ReadOutcome::Deferred)];
    let (next, pages_max) = asked(&one.tell(Delivery::Pages(&late)));
    assert_eq!((ids(&next), pages_max), (vec![channel(2)], PAGES_UNDER_WAY_MAX));
    assert!(one.sent().is_empty());
    // Nor is a channel asked for again that was left while it was deferred.
    one.host.members.remove(&channel(2));
    assert_eq!(one.tell(Delivery::Left { channel_id: channel(2) }), []);
    assert_eq!(one.tell(Delivery::Pages(&[(next[0], ReadOutcome::Deferred)])), []);
    assert_eq!(types(&one.sent()), ["error", "sync.done"]);
}

#[test]
fn a_page_that_is_not_the_one_asked_for_last_is_dropped() {
    let mut one = TestSession::member_of([1]);
    let (reads, _) = asked(&one.say(&sync([(1, 9)])));
    let stale = ChannelRead { after: MessageId(4), ..reads[0] };
    assert_eq!(one.tell(Delivery::Pages(&[(stale, page(&stale, 10)), (stale, ReadOutcome::Deferred)])), []);
    assert!(one.sent().is_empty());
    assert_eq!(one.tell(Delivery::Pages(&[(reads[0], page(&reads[0], 10))])), [live(1, 10)]);
    assert_eq!(one.tell(Delivery::Pages(&[(reads[0], page(&reads[0], 10))])), [], "again");
    assert_eq!(types(&one.sent()), ["sync.page", "sync.done"]);
}

#[test]
fn syncs_wait_for_one_another_and_too_many_are_refused() {
    let mut one = TestSession::member_of([1]);
    let (reads, _) = asked(&one.say(&sync([(1, 10)])));
    for _ in 0..SYNCS_WAITING_MAX {
        assert_eq!(one.say(&sync([])), []);
    }
    assert_eq!(one.say(&sync([])), []);
    assert_eq!(one.sent_json()["payload"]["code"], "rate_limited");
    one.tell(Delivery::Pages(&[(reads[0], page(&reads[0], 10))]));
    let sent = one.sent();
    assert_eq!(types(&sent)[..2], ["sync.page", "sync.done"]);
    assert_eq!(types(&sent)[1..], ["sync.done"; 1 + SYNCS_WAITING_MAX]);
}

#[test]
fn a_page_that_can_not_be_had_sends_the_client_back() {
    let mut one = TestSession::member_of([1]);
    one.say(&sync([(1, 9)]));
    let refused = Delivery::PageRefused { channel_id: channel(1), code: ErrorCode::Unavailable };
    let outputs = one.tell(refused);
    assert!(matches!(outputs[..], [Output::Leave(USER), Output::SetTimer(_)]), "{outputs:?}");
    assert!(one.is_dismissed("overloaded", 4100));
}
