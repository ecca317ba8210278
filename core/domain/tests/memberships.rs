//! Changes of who is in a channel and of what it is: the intervals that they make, and what is told of them.

#[expect(dead_code, reason = "the tests of replay use the rest")]
mod support;

use ringside_domain::rows::WriteTimestamp;
use ringside_types::{MessageId, RINGSIDE_EPOCH_MS, UnixMillis};
use ringside_wire::records::{
    ChangeBody, Channel, Member, Membership, MembershipKind, Origin, Send, Settings, change_body, command,
};
use support::{Death, Outcome, Record, run};
use uuid::Uuid;

const TIME: UnixMillis = UnixMillis(RINGSIDE_EPOCH_MS + 1_000_000);
const ANN: u128 = 1;
const BOB: u128 = 2;
const OPEN: Settings =
    Settings { admins_post: false, history_from_join: false, closed: false, slow_mode_s: 0 };

fn id(number: u128) -> Vec<u8> {
    Uuid::from_u128(number).as_bytes().to_vec()
}

fn nth(record: u64) -> (MessageId, WriteTimestamp) {
    support::nth(TIME, record)
}

fn change(version: u64, kind: MembershipKind, settings: Settings, members: &[(u128, &str)]) -> Record {
    let member = |(user, role): &(u128, &str)| Member { user_id: id(*user).into(), role: (*role).into() };
    let body = command::Body::Membership(Membership {
        channel_id: id(0).into(),
        version,
        actor_id: id(ANN).into(),
        kind: kind.into(),
        channel: Some(Channel { r#type: "private".into(), settings: Some(settings), ..Channel::default() }),
        members: members.iter().map(member).collect(),
    });
    Record { time: TIME, body }
}

/// A message, which answers that of another record; 0: none.
fn send(user: u128, client: u128, answers: u64) -> Record {
    let body = command::Body::Send(Send {
        channel_id: id(0).into(),
        sender_id: id(user).into(),
        client_id: id(client).into(),
        reply_to: nth(answers).0.0,
        origin: Some(Origin { slot: 1, epoch: 1, ..Origin::default() }),
        ..Send::default()
    });
    Record { time: TIME, body }
}

/// Whom each change tells of: the record, and those whom it changes.
fn told(outcome: &Outcome) -> Vec<(MessageId, Vec<u128>)> {
    let of_change = |row: &ringside_domain::rows::ChangeRow| {
        let body = ringside_wire::decode::<ChangeBody>(row.body.clone()).expect("a body");
        let Some(change_body::Event::Membership(change)) = body.event else { panic!("no membership") };
        (row.record_id, users(Some(&change)))
    };
    outcome.tables.changes.values().map(of_change).collect()
}

fn users(change: Option<&Membership>) -> Vec<u128> {
    let members = change.into_iter().flat_map(|change| &change.members);
    members.map(|member| Uuid::from_slice(&member.user_id).expect("an id").as_u128()).collect()
}

/// A user, a role, the records that opened and closed the interval, and the Directory's versions of both.
type Interval = (u128, &'static str, u64, u64, u64, u64);

type MemberChange = (u64, MembershipKind, &'static [(u128, &'static str)]);

/// Changes, the intervals that they leave, and which record tells of whom.
fn check_members(name: &str, changes: &[MemberChange], intervals: &[Interval], tells: &[(u64, &[u128])]) {
    use MembershipKind::{Added, Created, Removed};
    let record =
        |(version, kind, members): &MemberChange| change(*version, *kind, Settings::default(), members);
    let outcome = run(&changes.iter().map(record).collect::<Vec<_>>(), &[1], &[]);
    let rows = outcome.tables.memberships.values().map(|row| {
        let user = row.user_id.0.as_u128();
        (user, row.role.as_str(), row.from_id, row.to_id, row.version, row.to_version, row.stamp)
    });
    let expected = intervals.iter().map(|(user, role, from, to, version, to_version)| {
        (*user, *role, nth(*from).0, nth(*to).0, *version, *to_version, nth(*from.max(to)).1)
    });
    assert_eq!(rows.collect::<Vec<_>>(), expected.collect::<Vec<_>>(), "{name}");
    let expected: Vec<_> = tells.iter().map(|(record, users)| (nth(*record).0, users.to_vec())).collect();
    assert_eq!(told(&outcome), expected, "{name}");
    // `control` hears of those who come and of those who go.
    let of_kinds = |kinds: &[MembershipKind]| {
        let is_one = |record: &u64| kinds.contains(&changes[*record as usize - 1].1);
        let of_kinds = tells.iter().filter(|(record, _)| is_one(record));
        of_kinds.map(|(record, users)| (nth(*record).0.0, users.to_vec())).collect::<Vec<_>>()
    };
    let added = outcome.added.iter().map(|added| (added.from_id, users(added.membership.as_ref())));
    assert_eq!(added.collect::<Vec<_>>(), of_kinds(&[Created, Added]), "{name}");
    let departed = outcome.departed.iter().map(|gone| (gone.to_id, users(gone.membership.as_ref())));
    assert_eq!(departed.collect::<Vec<_>>(), of_kinds(&[Removed]), "{name}");
}

#[test]
fn memberships_are_intervals_of_the_directory_s_versions() {
    use MembershipKind::{Added, Created, Removed, Role};
    let ann: &[(u128, &str)] = &[(ANN, "member")];
    let admin: &[(u128, &str)] = &[(ANN, "admin")];
    let both: &[(u128, &str)] = &[(ANN, "member"), (BOB, "guest")];
    check_members(
        "a channel is made",
        &[(1, Created, both)],
        &[(ANN, "member", 1, 0, 1, 0), (BOB, "guest", 1, 0, 1, 0)],
        &[(1, &[ANN, BOB])],
    );
    check_members(
        "who is there is not added",
        &[(1, Added, ann), (2, Added, both)],
        &[(ANN, "member", 1, 0, 1, 0), (BOB, "guest", 2, 0, 2, 0)],
        &[(1, &[ANN]), (2, &[BOB])],
    );
    check_members(
        "removed",
        &[(1, Added, ann), (2, Removed, ann)],
        &[(ANN, "member", 1, 2, 1, 2)],
        &[(1, &[ANN]), (2, &[ANN])],
    );
    check_members(
        "removed and added anew",
        &[(1, Added, ann), (2, Removed, ann), (3, Added, ann)],
        &[(ANN, "member", 1, 2, 1, 2), (ANN, "member", 3, 0, 3, 0)],
        &[(1, &[ANN]), (2, &[ANN]), (3, &[ANN])],
    );
    check_members(
        "no version counts twice",
        &[(2, Added, ann), (2, Removed, ann), (1, Removed, ann)],
        &[(ANN, "member", 1, 0, 2, 0)],
        &[(1, &[ANN])],
    );
    check_members(
        "an addition that its removal overtook",
        &[(2, Removed, ann), (1, Added, ann)],
        &[(ANN, "member", 1, 1, 2, 2)],
        &[(1, &[ANN])],
    );
    check_members(
        "an addition older than the last removal",
        &[(1, Added, ann), (3, Removed, ann), (2, Added, ann)],
        &[(ANN, "member", 1, 2, 1, 3)],
        &[(1, &[ANN]), (2, &[ANN])],
    );
    check_members(
        "another role",
        &[(1, Added, ann), (2, Role, admin)],
        &[(ANN, "member", 1, 2, 1, 2), (ANN, "admin", 2, 0, 2, 0)],
        &[(1, &[ANN]), (2, &[ANN])],
    );
    check_members(
        "the same role",
        &[(1, Added, ann), (2, Role, ann)],
        &[(ANN, "member", 1, 0, 1, 0)],
        &[(1, &[ANN])],
    );
    check_members("a role of nobody", &[(1, Role, admin)], &[], &[]);
}

#[test]
fn settings_are_intervals_of_the_directory_s_versions() {
    use MembershipKind::{Added, Closed, Deleted, Updated};
    let quiet = Settings { admins_post: true, ..OPEN };
    let closed = Settings { closed: true, ..OPEN };
    type Row = (u64, u64, u64, u64, [bool; 3]);
    let check = |name: &str,
                 changes: &[(u64, MembershipKind, Settings)],
                 rows: &[Row],
                 tells: &[u64],
                 gone: &[u64]| {
        let record = |(version, kind, settings): &(u64, MembershipKind, Settings)| {
            let members: &[_] = if *kind == Added { &[(BOB, "member")] } else { &[] };
            change(*version, *kind, *settings, members)
        };
        let outcome = run(&changes.iter().map(record).collect::<Vec<_>>(), &[1], &[]);
        let seen = outcome.tables.settings.values().map(|row| {
            let is = [row.admins_post, row.is_closed, row.is_deleted];
            (row.from_id, row.to_id, row.version, row.to_version, is, row.stamp)
        });
        let expected = rows.iter().map(|(from, to, version, to_version, is)| {
            (nth(*from).0, nth(*to).0, *version, *to_version, *is, nth(*from.max(to)).1)
        });
        assert_eq!(seen.collect::<Vec<_>>(), expected.collect::<Vec<_>>(), "{name}");
        let told = told(&outcome).into_iter().map(|(record, _)| record);
        let expected = tells.iter().map(|record| nth(*record).0);
        assert_eq!(told.collect::<Vec<_>>(), expected.collect::<Vec<_>>(), "{name}");
        let departed = outcome.departed.iter().map(|gone| gone.to_id);
        let expected = gone.iter().map(|record| nth(*record).0.0);
        assert_eq!(departed.collect::<Vec<_>>(), expected.collect::<Vec<_>>(), "{name}");
    };
    check(
        "one after the other",
        &[(1, Updated, quiet), (2, Updated, OPEN)],
        &[(1, 2, 1, 2, [true, false, false]), (2, 0, 2, 0, [false; 3])],
        &[1, 2],
        &[],
    );
    check(
        "no version counts twice",
        &[(2, Updated, quiet), (2, Updated, OPEN), (1, Updated, OPEN)],
        &[(1, 0, 2, 0, [true, false, false])],
        &[1],
        &[],
    );
    check(
        "closed, and nobody is told",
        &[(1, Closed, closed)],
        &[(1, 0, 1, 0, [false, true, false])],
        &[],
        &[],
    );
    check(
        "deleted, and nothing comes after",
        &[(1, Deleted, OPEN), (2, Updated, quiet), (3, Added, OPEN)],
        &[(1, 0, 1, 0, [false, false, true])],
        &[1],
        &[1],
    );
}

#[test]
fn a_membership_begins_where_its_member_came_whatever_their_role() {
    for from_join in [false, true] {
        let settings = Settings { history_from_join: from_join, ..OPEN };
        let log = [
            change(1, MembershipKind::Created, OPEN, &[(ANN, "owner")]),
            change(2, MembershipKind::Updated, settings, &[]),
            send(ANN, 1, 0),
            change(3, MembershipKind::Added, OPEN, &[(BOB, "member")]),
            send(ANN, 2, 0),
            change(4, MembershipKind::Role, OPEN, &[(BOB, "admin")]),
        ];
        let outcome = run(&log, &[log.len()], &[]);
        let hidden = if from_join { nth(4).0 } else { MessageId::ZERO };
        let rows = outcome.tables.memberships.values().filter(|row| row.user_id.0.as_u128() == BOB);
        let rows: Vec<_> = rows.map(|row| (row.role.as_str(), row.from_seq, row.sees_above)).collect();
        assert_eq!(rows, [("member", 1, hidden), ("admin", 1, hidden)]);
        let added = outcome.added.last().expect("who came last");
        assert_eq!((added.seq, added.change, added.sees_above), (1, 3, hidden.0));
    }
}

#[test]
fn a_message_answers_what_its_sender_sees() {
    let check = |name: &str, user: u128, answers: u64, refusals: &[&str]| {
        let from_join = Settings { history_from_join: true, ..OPEN };
        let log = [
            change(1, MembershipKind::Created, OPEN, &[(ANN, "owner")]),
            change(2, MembershipKind::Updated, from_join, &[]),
            send(ANN, 1, 0),
            change(3, MembershipKind::Added, OPEN, &[(BOB, "member")]),
            send(ANN, 2, 0),
            send(user, 3, answers),
            send(ANN, 4, 0),
        ];
        let once = run(&log, &[log.len()], &[]);
        assert_eq!(once.rejections, refusals, "{name}");
        let one_by_one = run(&log, &[1], &[]);
        assert_eq!(
            (&one_by_one.tables, one_by_one.rejections),
            (&once.tables, once.rejections.clone()),
            "{name}"
        );
        let again = run(&log, &[log.len()], &[Some(Death::Heads)]);
        assert_eq!((again.tables, again.rejections), (once.tables, once.rejections), "{name}");
    };
    check("an old one, for who was there", ANN, 3, &[]);
    check("an old one, for who came later", BOB, 3, &["not_found"]);
    check("one since then", BOB, 5, &[]);
    check("no message", BOB, 4, &["not_found"]);
    check("one that is yet to come", BOB, 7, &["not_found"]);
}
