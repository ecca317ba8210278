//! What `control` says of channels, members and sessions: whom the shards hear of, and what the edge listens to.

mod support;

use ringside_application::backend::{AuthorizeAnswer, BackendError};
use std::time::Duration;

use ringside_domain::feed::LINGER;
use ringside_edge_protocol::{Subscription, ToNode, ToShard};
use ringside_node::Completion;
use ringside_types::{ChannelId, MessageId, UserId};
use ringside_wire::records::{
    Channel, Departed, Member, MemberAdded, Membership, MembershipKind, Revoked, Settings, control,
};
use support::{CHANNEL, OTHER, TestNode, session, submission, user};

/// Members of the channel, one on each shard, and somebody else.
const ANN: u128 = 1;
const BOB: u128 = 2;
const ZOE: u128 = 3;

fn here() -> TestNode {
    let mut test = TestNode::holding();
    test.connect(ANN, 4, &[CHANNEL]);
    test.connect(BOB, 5, &[CHANNEL]);
    test.connect(ZOE, 7, &[]);
    test.live(CHANNEL, 1, 10);
    test.deliveries();
    test
}

fn membership(channel: ChannelId, kind: MembershipKind, version: u64, users: &[u128]) -> Membership {
    let member =
        |number: &u128| Member { user_id: user(*number).as_bytes().to_vec().into(), role: "member".into() };
    Membership {
        channel_id: channel.as_bytes().to_vec().into(),
        version,
        kind: kind.into(),
        members: users.iter().map(member).collect(),
        ..Membership::default()
    }
}

/// The Directory's word of a change, which comes first.
fn change(kind: MembershipKind, version: u64, users: &[u128]) -> control::Body {
    control::Body::Membership(membership(CHANNEL, kind, version, users))
}

/// The partition's word of it.
fn added(version: u64, users: &[u128]) -> control::Body {
    control::Body::MemberAdded(MemberAdded {
        channel_id: CHANNEL.as_bytes().to_vec().into(),
        from_id: 20,
        sees_above: 8,
        membership: Some(membership(CHANNEL, MembershipKind::Added, version, users)),
        ..MemberAdded::default()
    })
}

fn departed(kind: MembershipKind, version: u64, users: &[u128]) -> control::Body {
    control::Body::Departed(Departed {
        channel_id: CHANNEL.as_bytes().to_vec().into(),
        to_id: 20,
        membership: Some(membership(CHANNEL, kind, version, users)),
        ..Departed::default()
    })
}

fn revoked(number: u128, session_id: &[u8]) -> control::Body {
    let user_id = user(number).as_bytes().to_vec().into();
    control::Body::Revoked(Revoked { user_id, session_id: session_id.to_vec().into() })
}

/// What a shard was told, and of whom.
type Told = (u16, &'static str, Vec<UserId>);

fn told(test: &mut TestNode) -> Vec<Told> {
    let of_mail = |(shard, mail)| {
        let (what, users) = match mail {
            ToShard::MemberAdded { user_id, .. } => ("added", vec![user_id]),
            ToShard::MemberRemoved { user_id, .. } => ("removed", vec![user_id]),
            ToShard::Departed { users, .. } => ("departed", users),
            ToShard::SessionEnded { user_id, .. } => ("session ended", vec![user_id]),
            _ => return None,
        };
        Some((shard, what, users))
    };
    test.deliveries().into_iter().filter_map(of_mail).collect()
}

#[test]
fn the_shards_of_those_concerned_are_told_once() {
    use MembershipKind::{Added, Deleted, Removed, Role};
    let check = |name: &str, records: &[control::Body], expected: &[(u16, &'static str, u128)]| {
        let mut test = here();
        let mut seen = Vec::new();
        for record in records {
            test.control(record.clone());
            seen.extend(told(&mut test));
        }
        let expected = expected.iter().map(|(shard, what, number)| (*shard, *what, vec![user(*number)]));
        assert_eq!(seen, expected.collect::<Vec<_>>(), "{name}");
    };
    let (removed, gone) = ((0, "removed", ANN), (0, "departed", ANN));
    check("an addition", &[change(Added, 2, &[ZOE]), added(2, &[ZOE])], &[(1, "added", ZOE)]);
    check("the partition's word alone", &[added(2, &[ZOE])], &[]);
    check("the word of what is over", &[change(Removed, 3, &[ZOE]), added(2, &[ZOE])], &[]);
    check("a removal", &[change(Removed, 2, &[ANN])], &[removed]);
    check("said twice", &[change(Removed, 2, &[ANN]), change(Removed, 2, &[ANN])], &[removed]);
    check("an older removal", &[change(Removed, 1, &[ANN])], &[]);
    check("of nobody here", &[change(Removed, 2, &[9]), added(3, &[9])], &[]);
    check("another role", &[change(Role, 2, &[ANN])], &[]);
    check(
        "a removal and the word of it, twice",
        &[change(Removed, 2, &[ANN]), departed(Removed, 2, &[ANN]), departed(Removed, 2, &[ANN])],
        &[removed, gone],
    );
    check(
        "a member again before the word of it",
        &[change(Removed, 2, &[ANN]), change(Added, 3, &[ANN]), departed(Removed, 2, &[ANN])],
        &[removed],
    );
    check(
        "removed once more before the word of the first time",
        &[
            change(Removed, 2, &[ANN]),
            change(Added, 3, &[ANN]),
            change(Removed, 4, &[ANN]),
            departed(Removed, 2, &[ANN]),
        ],
        &[removed, removed],
    );
    check(
        "the channel is gone",
        &[change(Deleted, 2, &[]), departed(Deleted, 2, &[])],
        &[removed, (1, "removed", BOB), gone, (1, "departed", BOB)],
    );
    check("a session", &[revoked(ANN, session(ANN).as_bytes())], &[(0, "session ended", ANN)]);
    check("all sessions", &[revoked(ANN, &[])], &[(0, "session ended", ANN)]);
    check("no session's id", &[revoked(ANN, &[1, 2, 3])], &[]);
}

#[test]
fn a_new_member_begins_where_the_channel_is() {
    let mut test = here();
    test.control(change(MembershipKind::Added, 2, &[ZOE]));
    test.control(added(2, &[ZOE]));
    let told = test.deliveries();
    let [(1, ToShard::MemberAdded { subscription, from_id, .. })] = &told[..] else { panic!("{told:?}") };
    let Subscription { channel_id, last, sees_above, .. } = *subscription;
    assert_eq!((channel_id, last, sees_above), (CHANNEL, Some(MessageId(10)), MessageId(8)));
    assert_eq!(*from_id, MessageId(20));
}

#[test]
fn the_edge_listens_from_the_first_word_until_nobody_is_a_member() {
    let mut test = here();
    let change = |kind, version| control::Body::Membership(membership(OTHER, kind, version, &[ZOE]));
    test.control(change(MembershipKind::Added, 2));
    assert!(test.effects().contains(&"append joins"));
    test.confirm_joins();
    test.control(change(MembershipKind::Removed, 3));
    assert!(!test.effects().contains(&"append joins"), "somebody may come back");
    test.wait(LINGER);
    assert!(test.effects().contains(&"append joins"));
}

#[test]
fn a_change_of_the_channel_holds_for_the_next_message() {
    let mut test = here();
    let connection = test.connect(ANN, 6, &[]);
    let updated = |version, admins_post| {
        let settings = Some(Settings { admins_post, ..Settings::default() });
        let channel = Some(Channel { r#type: "group".into(), settings, ..Channel::default() });
        let change = membership(CHANNEL, MembershipKind::Updated, version, &[]);
        control::Body::Membership(Membership { channel, ..change })
    };
    for (version, admins_post, expected) in [(2, false, "append commands"), (3, true, "ask senders")] {
        test.control(updated(version, admins_post));
        let submission = submission(&test, connection, ANN, "a");
        test.request(ToNode::Submit(submission));
        assert!(test.effects().contains(&expected), "{:?}", test.effects());
    }
}

/// The backend's answer to whether those in doubt are members.
fn answer_members(test: &mut TestNode, members: Result<bool, BackendError>) {
    let (question, asked) = test.question();
    assert_eq!(asked.members, [(CHANNEL, user(ZOE))]);
    let answer = members.map(|member| AuthorizeAnswer { members: vec![member], ..Default::default() });
    test.complete(Completion::Authorized(question, answer));
}

/// A partition that lags tells of additions that were taken back long ago, and this edge may not have seen the removal.
/// (Found by the simulator.)
#[test]
fn a_member_whom_nobody_has_named_is_asked_about_before_they_are_told() {
    let second = Duration::from_secs(1);
    let mut test = here();
    test.control(added(2, &[ZOE]));
    assert_eq!(told(&mut test), []);
    answer_members(&mut test, Ok(true));
    assert_eq!(told(&mut test), [(1, "added", vec![user(ZOE)])]);

    let mut test = here();
    test.control(added(2, &[ZOE]));
    answer_members(&mut test, Err(BackendError("away".into())));
    test.wait(second);
    // The Directory's own word may still be on its way.
    answer_members(&mut test, Ok(false));
    test.wait(second);
    answer_members(&mut test, Ok(true));
    assert_eq!(told(&mut test), [(1, "added", vec![user(ZOE)])]);

    let mut test = here();
    test.control(added(2, &[ZOE]));
    for _ in 0..30 {
        answer_members(&mut test, Ok(false));
        test.wait(second);
    }
    assert!(!test.effects().contains(&"ask members"), "no member after so many answers");
    assert_eq!(told(&mut test), []);
}

/// The log has an addition a little before the Directory says so. (Found by the simulator.)
#[test]
fn who_connects_before_the_directory_names_them_is_asked_about() {
    let mut test = TestNode::holding();
    test.control(added(2, &[ZOE]));
    test.connect(ZOE, 1, &[]);
    answer_members(&mut test, Ok(true));
    assert_eq!(told(&mut test), [(1, "added", vec![user(ZOE)])]);
    // Whom the Directory names is not.
    let mut test = TestNode::holding();
    test.control(added(1, &[ZOE]));
    test.connect(ZOE, 1, &[CHANNEL]);
    assert!(!test.effects().contains(&"ask members"));
}

#[test]
fn who_was_removed_while_they_were_asked_about_is_not_told() {
    let mut test = here();
    test.control(added(2, &[ZOE]));
    test.control(change(MembershipKind::Removed, 3, &[ZOE]));
    answer_members(&mut test, Ok(true));
    assert!(told(&mut test).iter().all(|(_, what, _)| *what != "added"));
}
