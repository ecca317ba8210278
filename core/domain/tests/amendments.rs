//! Edits, deletions, reactions and pins, one by one: who may, what it makes of the message, and what is told.

#[expect(dead_code, reason = "the tests of replay use the rest")]
mod support;

use ringside_types::limits::MESSAGE_EMOJI_MAX;
use ringside_types::{MessageId, RINGSIDE_EPOCH_MS, UnixMillis};
use ringside_wire::mention::Mentions;
use ringside_wire::records::{
    self, Amend, Amended, Channel, ChannelTurn, Edited, Joins, Member, Membership, MembershipKind, Origin,
    Reacted, Reaction, Send, Settings, amend, amended, command, effective,
};
use support::{Death, Outcome, PARTITION, Record, run};
use uuid::Uuid;

const TIME: UnixMillis = UnixMillis(RINGSIDE_EPOCH_MS + 1_000_000);
const OWNER: u128 = 1;
const ADMIN: u128 = 2;
const AUTHOR: u128 = 3;
const MEMBER: u128 = 4;
const GUEST: u128 = 5;
const OUTSIDER: u128 = 6;
/// The record that makes the message is the third.
const MESSAGE: usize = 2;

/// A channel in which one message was sent, to an edge that listens.
struct Scene {
    log: Vec<Record>,
    requests: u128,
}

fn id(number: u128) -> Vec<u8> {
    Uuid::from_u128(number).as_bytes().to_vec()
}

fn origin() -> Option<Origin> {
    Some(Origin { slot: 1, epoch: 1, ..Origin::default() })
}

fn mentions(users: &[u128], everyone: bool) -> records::Mentions {
    records::Mentions { users: users.iter().map(|user| id(*user).into()).collect(), everyone }
}

impl Scene {
    fn new(kind: &str, metadata: &str) -> Self {
        let roles = if kind == "dm" {
            vec![(AUTHOR, "member"), (MEMBER, "member")]
        } else {
            vec![(OWNER, "owner"), (ADMIN, "admin"), (AUTHOR, "member"), (MEMBER, "member"), (GUEST, "guest")]
        };
        let mut scene = Self { log: Vec::new(), requests: 100 };
        let member = |(user, role): (u128, &str)| Member { user_id: id(user).into(), role: role.into() };
        scene.membership(
            1,
            MembershipKind::Created,
            kind,
            Settings::default(),
            roles.into_iter().map(member),
        );
        let channels = vec![ChannelTurn { channel_id: id(0).into(), n: 1 }];
        scene.push(command::Body::Joins(Joins { slot: 1, epoch: 1, channels }));
        scene.push(command::Body::Send(Send {
            channel_id: id(0).into(),
            sender_id: id(AUTHOR).into(),
            client_id: id(7).into(),
            content: "hello".into(),
            metadata: metadata.into(),
            origin: origin(),
            ..Send::default()
        }));
        scene
    }

    fn push(&mut self, body: command::Body) {
        self.log.push(Record { time: TIME, body });
    }

    fn membership(
        &mut self,
        version: u64,
        kind: MembershipKind,
        channel: &str,
        settings: Settings,
        members: impl Iterator<Item = Member>,
    ) {
        self.push(command::Body::Membership(Membership {
            channel_id: id(0).into(),
            version,
            actor_id: id(OWNER).into(),
            kind: kind.into(),
            channel: Some(Channel { r#type: channel.into(), settings: Some(settings), ..Channel::default() }),
            members: members.collect(),
        }));
    }

    fn amend(&mut self, user: u128, change: amend::Change, mentions: Option<records::Mentions>) -> Outcome {
        self.requests += 1;
        self.amend_again(self.requests, user, change, mentions)
    }

    /// The same request may come twice.
    fn amend_again(
        &mut self,
        request: u128,
        user: u128,
        change: amend::Change,
        mentions: Option<records::Mentions>,
    ) -> Outcome {
        let message_id = self.message_id().0;
        self.push(command::Body::Amend(Amend {
            channel_id: id(0).into(),
            sender_id: id(user).into(),
            client_id: id(request).into(),
            message_id,
            origin: origin(),
            mentions,
            change: Some(change),
            ..Amend::default()
        }));
        self.run()
    }

    fn run(&self) -> Outcome {
        run(&self.log, &[self.log.len()], &[])
    }

    fn message_id(&self) -> MessageId {
        (0..=MESSAGE).fold(MessageId::ZERO, |last, _| MessageId::following(last, TIME, PARTITION))
    }
}

fn edit(text: &str) -> amend::Change {
    amend::Change::Content(text.into())
}

fn react(emoji: &str, removed: bool) -> amend::Change {
    amend::Change::Reaction(Reaction { emoji: emoji.into(), removed })
}

/// The last change that edges were told of.
fn told(outcome: &Outcome) -> amended::Change {
    let event = outcome.told.last().and_then(|event| event.event.clone());
    let Some(effective::Event::Amended(Amended { change: Some(change), .. })) = event else {
        panic!("{event:?}")
    };
    change
}

#[test]
fn who_may_change_a_message() {
    let all = [OWNER, ADMIN, AUTHOR, MEMBER, GUEST];
    let check = |kind: &str, change: amend::Change, may: &[u128]| {
        let users = if kind == "dm" { &[AUTHOR, MEMBER][..] } else { &all };
        for user in users {
            let outcome = Scene::new(kind, "").amend(*user, change.clone(), None);
            let is_done = outcome.tables.changes.values().any(|row| row.change == 2);
            assert_eq!(is_done, may.contains(user), "{kind}: {user} {change:?}");
            let refusals: &[String] = if is_done { &[] } else { &["forbidden".into()] };
            assert_eq!(outcome.rejections, refusals, "{kind}: {user} {change:?}");
        }
        let outcome = Scene::new(kind, "").amend(OUTSIDER, change.clone(), None);
        assert_eq!(outcome.rejections, ["not_a_member"], "{kind} {change:?}");
    };
    for kind in ["group", "private", "public"] {
        check(kind, edit("other"), &[AUTHOR]);
        check(kind, amend::Change::Deleted(true), &[OWNER, ADMIN, AUTHOR]);
        check(kind, react("+1", false), &all);
        check(kind, amend::Change::Pinned(true), &[OWNER, ADMIN, AUTHOR, MEMBER]);
    }
    check("dm", edit("other"), &[AUTHOR]);
    check("dm", amend::Change::Deleted(true), &[AUTHOR]);
    check("dm", react("+1", false), &[AUTHOR, MEMBER]);
    check("dm", amend::Change::Pinned(true), &[AUTHOR, MEMBER]);
}

#[test]
fn an_edit_replaces_the_content_and_nothing_else() {
    let mut scene = Scene::new("group", r#"{"colour":"red"}"#);
    let before = scene.run().tables.messages.pop_first().expect("the message").1;
    let outcome = scene.amend(AUTHOR, edit("other"), None);
    let after = outcome.tables.messages.values().next().expect("the message").clone();
    assert_eq!((&after.content[..], after.edited_record > before.message_id), ("other", true));
    let same = support::unedited(after, &before);
    assert_eq!(same, before);
    let amended::Change::Edited(edited) = told(&outcome) else { panic!("not an edit") };
    let message = edited.message.expect("the message as it is");
    assert_eq!((&message.content[..], edited.seq, edited.deleted), ("other", 1, false));
    assert!(edited.edited_at_ms > 0);
}

#[test]
fn an_edit_says_whom_it_names() {
    let named = mentions(&[MEMBER], false).users;
    let list = |metadata: &str| Mentions::in_metadata(metadata);
    let before = list(&Mentions::from_record(&mentions(&[MEMBER], false)).expect("ids").written_into(""));
    let metadata = before.written_into(r#"{"colour":"red"}"#);
    for (said, after) in [
        (None, before.clone()),
        (Some(mentions(&[MEMBER], false)), before.clone()),
        (
            Some(mentions(&[GUEST, MEMBER], true)),
            Mentions::from_record(&mentions(&[GUEST, MEMBER], true)).expect("ids"),
        ),
        (Some(mentions(&[], false)), Mentions::default()),
    ] {
        let outcome = Scene::new("group", &metadata).amend(AUTHOR, edit("other"), said.clone());
        let row = outcome.tables.messages.values().next().expect("the message");
        assert_eq!(list(&row.metadata), after, "{said:?}");
        assert!(row.metadata.contains(r#""colour":"red""#), "{}", row.metadata);
        let amended::Change::Edited(Edited { mentions, earlier, .. }) = told(&outcome) else {
            panic!("not an edit")
        };
        assert_eq!(mentions, said);
        assert_eq!(earlier.expect("whom it named").users, named);
        let body = &outcome.tables.changes.values().next_back().expect("the edit").body;
        assert!(!body.windows(16).any(|bytes| bytes == named[0]), "no content outlives its message");
    }
}

#[test]
fn what_is_gone_stays_gone() {
    for again in [edit("other"), react("+1", false), amend::Change::Pinned(true)] {
        let mut scene = Scene::new("group", r#"{"colour":"red"}"#);
        let deleted = scene.amend(AUTHOR, amend::Change::Deleted(true), None);
        let row = deleted.tables.messages.values().next().expect("the tombstone");
        assert!(row.is_deleted() && row.content.is_empty() && row.metadata.is_empty());
        assert_eq!(told(&deleted), amended::Change::Deleted(true));
        let outcome = scene.amend(AUTHOR, again.clone(), None);
        assert_eq!(outcome.rejections, ["not_found"], "{again:?}");
        assert_eq!(outcome.tables.messages, deleted.tables.messages);
    }
    let mut scene = Scene::new("group", "");
    let once = scene.amend(AUTHOR, amend::Change::Deleted(true), None);
    let twice = scene.amend(ADMIN, amend::Change::Deleted(true), None);
    assert_eq!((&twice.rejections[..], &twice.tables.changes), (&[][..], &once.tables.changes));
}

#[test]
fn a_reaction_is_counted_once_a_person() {
    let mut scene = Scene::new("group", "");
    let check = |outcome: &Outcome, removed, users: &[u128]| {
        let expected = Reacted {
            emoji: "+1".into(),
            removed,
            count: users.len() as u64,
            users: users.iter().map(|user| id(*user).into()).collect(),
        };
        assert_eq!(told(outcome), amended::Change::Reacted(expected));
    };
    check(&scene.amend(MEMBER, react("+1", false), None), false, &[MEMBER]);
    check(&scene.amend(GUEST, react("+1", false), None), false, &[MEMBER, GUEST]);
    let changes = scene.run().tables.changes;
    for idle in [(MEMBER, react("+1", false)), (OWNER, react("+1", true)), (MEMBER, react("-1", true))] {
        let outcome = scene.amend(idle.0, idle.1, None);
        assert_eq!((&outcome.rejections[..], &outcome.tables.changes), (&[][..], &changes));
    }
    check(&scene.amend(MEMBER, react("+1", true), None), true, &[GUEST]);
    check(&scene.amend(MEMBER, react("+1", false), None), false, &[GUEST, MEMBER]);
}

#[test]
fn a_message_full_of_emoji_takes_those_that_are_there() {
    let mut scene = Scene::new("group", "");
    let emoji = |number: usize| react(&format!("e{number}"), false);
    for number in 0..MESSAGE_EMOJI_MAX {
        scene.amend(MEMBER, emoji(number), None);
    }
    assert_eq!(scene.amend(GUEST, emoji(MESSAGE_EMOJI_MAX), None).rejections, ["bad_request"]);
    let outcome = scene.amend(GUEST, emoji(0), None);
    assert_eq!(outcome.rejections.len(), 1, "and no more than that one");
    let amended::Change::Reacted(reacted) = told(&outcome) else { panic!("not a reaction") };
    assert_eq!((&*reacted.emoji, reacted.count), ("e0", 2));
}

#[test]
fn a_pin_stands_until_it_is_taken_away() {
    let mut scene = Scene::new("group", "");
    let changes = scene.run().tables.changes;
    let idle = scene.amend(MEMBER, amend::Change::Pinned(false), None);
    assert_eq!((&idle.rejections[..], &idle.tables.changes), (&[][..], &changes));
    let pinned = scene.amend(MEMBER, amend::Change::Pinned(true), None);
    assert_eq!(told(&pinned), amended::Change::Pinned(true));
    let standing =
        |outcome: &Outcome| outcome.tables.pins.values().filter(|row| row.to_id == MessageId::ZERO).count();
    assert_eq!(standing(&pinned), 1);
    let again = scene.amend(ADMIN, amend::Change::Pinned(true), None);
    assert_eq!(again.tables.changes, pinned.tables.changes);
    let unpinned = scene.amend(ADMIN, amend::Change::Pinned(false), None);
    assert_eq!((told(&unpinned), standing(&unpinned)), (amended::Change::Pinned(false), 0));
}

#[test]
fn one_request_is_done_once() {
    for change in
        [edit("first"), react("+1", false), amend::Change::Pinned(true), amend::Change::Deleted(true)]
    {
        let mut scene = Scene::new("group", "");
        let once = scene.amend_again(500, AUTHOR, change.clone(), None);
        let twice = scene.amend_again(500, AUTHOR, change.clone(), None);
        assert_eq!(
            (&twice.tables.changes, &twice.rejections[..]),
            (&once.tables.changes, &[][..]),
            "{change:?}"
        );
    }
    // One id is a key of its own for each kind of request.
    let mut scene = Scene::new("group", "");
    for (number, change) in [
        edit("first"),
        react("+1", false),
        react("-1", false),
        react("+1", true),
        amend::Change::Pinned(true),
        amend::Change::Pinned(false),
        amend::Change::Deleted(true),
    ]
    .into_iter()
    .enumerate()
    {
        let outcome = scene.amend_again(500, AUTHOR, change.clone(), None);
        assert_eq!(outcome.tables.changes.len(), number + 2, "{change:?}");
    }
}

/// A process that begins anew has seen nothing: what a request made before is asked of the store.
#[test]
fn one_request_is_done_once_whoever_did_it() {
    let mut scene = Scene::new("group", "");
    scene.amend_again(500, AUTHOR, edit("first"), None);
    let once = scene.amend(AUTHOR, edit("second"), None);
    scene.amend_again(500, AUTHOR, edit("first"), None);
    let outcome = run(&scene.log, &[MESSAGE + 2, 1], &[None, Some(Death::Rows)]);
    assert_eq!(outcome.tables.changes, once.tables.changes);
    assert_eq!(outcome.tables.messages, once.tables.messages);
}

#[test]
fn a_closed_dm_takes_back_and_takes_no_more() {
    for (change, is_allowed) in [
        (edit("other"), false),
        (react("+1", false), false),
        (amend::Change::Pinned(true), false),
        (amend::Change::Deleted(true), true),
    ] {
        let mut scene = Scene::new("dm", "");
        let closed = Settings { closed: true, ..Settings::default() };
        scene.membership(2, MembershipKind::Closed, "dm", closed, std::iter::empty());
        let outcome = scene.amend(AUTHOR, change.clone(), None);
        let refusals: &[String] = if is_allowed { &[] } else { &["forbidden".into()] };
        assert_eq!(outcome.rejections, refusals, "{change:?}");
    }
}

#[test]
fn a_message_of_another_channel_is_not_found() {
    let mut scene = Scene::new("group", "");
    scene.log.truncate(MESSAGE);
    let outcome = scene.amend(AUTHOR, edit("other"), None);
    assert_eq!(outcome.rejections, ["not_found"], "there is none");

    let mut scene = Scene::new("group", "");
    let Record { time, body: command::Body::Membership(created) } = scene.log[0].clone() else {
        panic!("a channel is made first")
    };
    scene.amend(AUTHOR, edit("other"), None);
    let Some(Record { body: command::Body::Amend(amend), .. }) = scene.log.pop() else {
        panic!("what was asked last")
    };
    let channel_id: bytes::Bytes = id(8).into();
    scene.log.push(Record {
        time,
        body: command::Body::Membership(Membership { channel_id: channel_id.clone(), ..created }),
    });
    scene.log.push(Record { time, body: command::Body::Amend(Amend { channel_id, ..amend }) });
    assert_eq!(scene.run().rejections, ["not_found"], "its author asks for it in another channel");
}

#[test]
fn what_is_hidden_from_a_member_is_not_there_for_them() {
    const LATER: u128 = 7;
    for (history_from_join, change) in [
        (false, react("+1", false)),
        (true, react("+1", false)),
        (true, amend::Change::Pinned(true)),
        (true, amend::Change::Deleted(true)),
    ] {
        let mut scene = Scene::new("group", "");
        let settings = Settings { history_from_join, ..Settings::default() };
        scene.membership(2, MembershipKind::Updated, "group", settings, std::iter::empty());
        let member = Member { user_id: id(LATER).into(), role: "member".into() };
        scene.membership(3, MembershipKind::Added, "group", settings, std::iter::once(member));
        let outcome = scene.amend(LATER, change.clone(), None);
        let refusals: &[String] = if history_from_join { &["not_found".into()] } else { &[] };
        assert_eq!(outcome.rejections, refusals, "{change:?}");
    }
}

/// Of two writes of a row the later record's stays, whichever comes last.
#[test]
fn each_row_bears_the_stamp_of_the_record_that_wrote_it() {
    let check = |name: &str, changes: &[amend::Change], expected: [usize; 3]| {
        let mut scene = Scene::new("group", "");
        changes.iter().for_each(|change| drop(scene.amend(AUTHOR, change.clone(), None)));
        let tables = scene.run().tables;
        let last = tables.progress.expect("the run's end").stamp;
        let written = [
            tables.messages.values().filter(|row| row.stamp == last).count(),
            tables.reactions.values().filter(|row| row.stamp == last).count(),
            tables.pins.values().filter(|row| row.stamp == last).count(),
        ];
        assert_eq!(written, expected, "{name}: messages, reactions, pins");
    };
    let pin = amend::Change::Pinned;
    check("an edit", &[edit("other")], [1, 0, 0]);
    check("a deletion", &[amend::Change::Deleted(true)], [1, 0, 0]);
    check("a reaction", &[react("+1", false)], [0, 1, 0]);
    check("its end", &[react("+1", false), react("+1", true)], [0, 1, 0]);
    check("a pin", &[pin(true)], [0, 0, 1]);
    check("its end", &[pin(true), pin(false)], [0, 0, 1]);
}

/// A process that died after its rows and before its heads finds rows that records above the one it decides wrote.
#[test]
fn what_is_decided_again_is_decided_alike() {
    let check = |name: &str, changes: &[(u128, amend::Change)]| {
        let mut scene = Scene::new("group", "");
        changes.iter().for_each(|(user, change)| drop(scene.amend(*user, change.clone(), None)));
        let first = [MESSAGE + 1, changes.len()];
        let once = run(&scene.log, &first, &[]);
        assert_eq!(once.tables.changes.len(), 1 + changes.len(), "{name}: each changes something");
        for size in 1..=changes.len() {
            let sizes = [&first[..], &vec![size; changes.len()]].concat();
            let again = run(&scene.log, &sizes, &[None, Some(Death::Heads)]);
            assert_eq!(again.told, once.told, "{name}, {size} at a time");
            assert_eq!(again.tables, once.tables, "{name}, {size} at a time");
        }
    };
    let (pin, delete) = (amend::Change::Pinned, || amend::Change::Deleted(true));
    check("an edit", &[(AUTHOR, edit("other")), (AUTHOR, edit("another"))]);
    check("an edit before a deletion", &[(AUTHOR, edit("other")), (ADMIN, delete())]);
    check("reactions of two", &[(MEMBER, react("+1", false)), (GUEST, react("+1", false))]);
    check(
        "a reaction that comes back",
        &[(MEMBER, react("+1", false)), (MEMBER, react("+1", true)), (MEMBER, react("+1", false))],
    );
    check("a pin that comes back", &[(MEMBER, pin(true)), (ADMIN, pin(false)), (OWNER, pin(true))]);
}
