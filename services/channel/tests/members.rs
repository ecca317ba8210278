//! Who may add and remove whom, and that a change is in the log before it is answered.

mod support;

use ringside_application::service::{ChannelService as _, PageRequest, ServiceError};
use ringside_channel::ADD_MEMBERS_MAX;
use ringside_ports::channels::{Channel, ChannelKind, NewChannel, Role};
use ringside_ports::{ChannelChanges as _, MembershipReader as _};
use ringside_types::{ChannelId, UnixMillis};
use ringside_wire::records::MembershipKind;
use support::{Running, TestContext, user, users, wish};
use uuid::Uuid;

const OWNER: u128 = 1;
const ADMIN: u128 = 2;
const ADMIN_2: u128 = 3;
const MEMBER: u128 = 4;
const MEMBER_2: u128 = 5;
const GUEST: u128 = 6;
const STRANGER: u128 = 7;
const STRANGER_2: u128 = 8;

/// What is expected of a request.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Expected {
    Done,
    Forbidden,
    NotAMember,
    NotFound,
    Invalid,
    Conflict,
}

use Expected::{Conflict, Done, Forbidden, Invalid, NotAMember, NotFound};

fn outcome<T>(answer: &Result<T, ServiceError>) -> Expected {
    match answer {
        Ok(_) => Done,
        Err(ServiceError::Forbidden(_)) => Forbidden,
        Err(ServiceError::NotAMember) => NotAMember,
        Err(ServiceError::NotFound(_)) => NotFound,
        Err(ServiceError::Invalid(_)) => Invalid,
        Err(ServiceError::Conflict { .. }) => Conflict,
        Err(other) => panic!("{other:?}"),
    }
}

/// A channel with one of each role.
async fn peopled(context: &TestContext, running: &Running, kind: ChannelKind) -> ChannelId {
    let id = ChannelId(Uuid::now_v7());
    let channel = Channel::new(id, kind, "name".into(), user(OWNER), UnixMillis(1));
    let members = [
        (OWNER, Role::Owner),
        (ADMIN, Role::Admin),
        (ADMIN_2, Role::Admin),
        (MEMBER, Role::Member),
        (MEMBER_2, Role::Member),
        (GUEST, Role::Guest),
    ];
    let members = members.into_iter().map(|(number, role)| (user(number), role)).collect();
    context.directory.create_channels(&[NewChannel { channel, members }]).await.expect("creates");
    running.relay.publish(id).await.expect("publishes");
    id
}

#[tokio::test]
async fn who_may_add() {
    let context = TestContext::new().await;
    let running = context.start();
    let check = async |kind: ChannelKind, caller: u128, added: &[u128], expected: Expected| {
        let id = peopled(&context, &running, kind).await;
        let answer = running.conversations.add_members(user(caller), id, users(added)).await;
        assert_eq!(outcome(&answer), expected, "{kind:?}: {caller} adds {added:?}");
        let Ok(members) = answer else { return };
        let ids: Vec<_> = members.iter().map(|member| member.user_id).collect();
        assert_eq!(ids, users(added), "their memberships, as they are now");
    };
    for kind in [ChannelKind::Group, ChannelKind::Private, ChannelKind::Public] {
        let sees = if kind == ChannelKind::Public { NotAMember } else { NotFound };
        let joins = if kind == ChannelKind::Public { Done } else { NotFound };
        check(kind, OWNER, &[STRANGER, STRANGER_2], Done).await;
        check(kind, ADMIN, &[STRANGER], Done).await;
        check(kind, ADMIN, &[MEMBER, STRANGER], Done).await;
        check(kind, MEMBER, &[STRANGER], Forbidden).await;
        check(kind, GUEST, &[STRANGER], Forbidden).await;
        check(kind, STRANGER, &[STRANGER_2], sees).await;
        check(kind, STRANGER, &[STRANGER, STRANGER_2], sees).await;
        check(kind, STRANGER, &[STRANGER], joins).await;
        check(kind, OWNER, &[999], Invalid).await;
        check(kind, OWNER, &[STRANGER, 999], Invalid).await;
        check(kind, OWNER, &[], Invalid).await;
    }
    check(ChannelKind::Public, MEMBER, &[MEMBER], Done).await;
    running.stop().await;
}

#[tokio::test]
async fn who_may_remove() {
    let context = TestContext::new().await;
    let running = context.start();
    let check = async |kind: ChannelKind, caller: u128, removed: u128, expected: Expected| {
        let id = peopled(&context, &running, kind).await;
        let answer = running.conversations.remove_member(user(caller), id, user(removed)).await;
        assert_eq!(outcome(&answer), expected, "{kind:?}: {caller} removes {removed}");
        let pairs = [(id, user(removed))];
        let was_member = removed <= GUEST;
        let is_member = context.directory.membership(&pairs).await.expect("looks")[0].is_some();
        assert_eq!(is_member, was_member && expected != Done);
    };
    for kind in [ChannelKind::Group, ChannelKind::Private, ChannelKind::Public] {
        let sees = if kind == ChannelKind::Public { NotAMember } else { NotFound };
        for removed in [ADMIN, MEMBER, GUEST] {
            check(kind, OWNER, removed, Done).await;
        }
        check(kind, OWNER, OWNER, Conflict).await;
        for (removed, expected) in [(MEMBER, Done), (GUEST, Done), (ADMIN, Done), (ADMIN_2, Forbidden)] {
            check(kind, ADMIN, removed, expected).await;
        }
        check(kind, ADMIN, OWNER, Forbidden).await;
        for (removed, expected) in
            [(MEMBER, Done), (MEMBER_2, Forbidden), (GUEST, Forbidden), (OWNER, Forbidden)]
        {
            check(kind, MEMBER, removed, expected).await;
        }
        check(kind, GUEST, GUEST, Done).await;
        check(kind, OWNER, STRANGER, NotFound).await;
        check(kind, STRANGER, MEMBER, sees).await;
        check(kind, STRANGER, STRANGER, sees).await;
    }
    // Whether a channel is there is not told to those who are not in it, whomever they name.
    let there = peopled(&context, &running, ChannelKind::Private).await;
    let leave = async |id| running.conversations.remove_member(user(STRANGER), id, user(STRANGER)).await;
    assert_eq!(leave(there).await, leave(ChannelId(Uuid::now_v7())).await);
    running.stop().await;
}

#[tokio::test]
async fn a_dm_stays_as_it_is() {
    let context = TestContext::new().await;
    let running = context.start();
    let conversations = &running.conversations;
    let (dm, _) = conversations.create(user(1), wish(ChannelKind::Dm, &[2])).await.expect("opens");
    for caller in [1, 2] {
        assert_eq!(outcome(&conversations.add_members(user(caller), dm.id, users(&[3])).await), Forbidden);
        for removed in [1, 2] {
            let answer = conversations.remove_member(user(caller), dm.id, user(removed)).await;
            assert_eq!(outcome(&answer), Forbidden);
        }
    }
    assert_eq!(outcome(&conversations.add_members(user(3), dm.id, users(&[3])).await), NotFound);
    assert_eq!(outcome(&conversations.remove_member(user(3), dm.id, user(1)).await), NotFound);
    running.stop().await;
}

#[tokio::test]
async fn a_change_that_is_answered_is_in_the_log() {
    let context = TestContext::new().await;
    let running = context.start();
    let conversations = &running.conversations;
    let (channel, _) = conversations.create(user(1), wish(ChannelKind::Private, &[])).await.expect("makes");
    let added = conversations.add_members(user(1), channel.id, users(&[3, 2, 3])).await.expect("adds");
    let added: Vec<_> = added.iter().map(|member| (member.user_id, member.role, member.version)).collect();
    assert_eq!(added, [(user(2), Role::Member, 2), (user(3), Role::Member, 3)]);
    conversations.remove_member(user(2), channel.id, user(2)).await.expect("leaves");
    let again = conversations.remove_member(user(2), channel.id, user(2)).await;
    assert_eq!(outcome(&again), NotFound);
    let (created, added, removed) = (MembershipKind::Created, MembershipKind::Added, MembershipKind::Removed);
    let sent = context.sent(channel.id).await;
    let kinds: Vec<_> = sent.iter().map(|record| (record.version, record.kind())).collect();
    assert_eq!(kinds, [(1, created), (2, added), (3, added), (4, removed)]);
    assert_eq!(context.told(channel.id).await, sent);
    let part = PageRequest { cursor: None, limit: 100 };
    let members = conversations.members(user(1), channel.id, part).await.expect("lists");
    assert_eq!(members.items.iter().map(|member| member.user_id).collect::<Vec<_>>(), users(&[1, 3]));
    running.stop().await;
}

#[tokio::test]
async fn a_request_adds_so_many_at_the_most() {
    let context = TestContext::new().await;
    let running = context.start();
    let conversations = &running.conversations;
    let (channel, _) = conversations.create(user(1), wish(ChannelKind::Group, &[])).await.expect("makes");
    let many: Vec<u128> = (2..=2 + ADD_MEMBERS_MAX as u128).collect();
    assert_eq!(outcome(&conversations.add_members(user(1), channel.id, users(&many)).await), Invalid);
    let added = conversations.add_members(user(1), channel.id, users(&many[1..])).await.expect("adds");
    assert_eq!(added.len(), ADD_MEMBERS_MAX);
    running.stop().await;
}
