//! The contract of what a channel's admins and owner change, and of what one person finds and keeps.

use ringside_types::authorization::{Operation, Refusal};
use ringside_types::{ChannelId, UnixMillis};
use ringside_wire::records::MembershipKind;

use super::{NOW, channel_id, confirm_all, new_channel, peopled, records, user};
use crate::Directory;
use crate::channels::{ChangeRefused, Channel, ChannelChange, ChannelKind, ChannelPatch, Created, Role};
use crate::people::profiles::{ProfileChange, SettingsSwap};

const NOT_ALLOWED: fn(Operation, Refusal) -> ChangeRefused = ChangeRefused::NotAllowed;

/// Runs every part, each over a fresh engine.
pub(super) async fn suite<D: Directory>(make: impl AsyncFn() -> D) {
    a_change_shows_once_confirmed(make().await).await;
    the_table_decides(make().await).await;
    there_is_one_owner(make().await).await;
    who_joins_where_nobody_is_owns_it(make().await).await;
    a_deleted_channel_is_gone(make().await).await;
    public_channels_are_found(make().await).await;
    a_mute_is_the_members_own(make().await).await;
    a_block_closes_the_dm(make().await).await;
    nobody_brings_in_those_who_are_apart(make().await).await;
    nobody_is_brought_in_against_their_settings(make().await).await;
}

/// A confirmed channel of users 1 (the owner) to 4.
async fn with_channel<D: Directory>(directory: D, kind: ChannelKind) -> D {
    let directory = peopled(directory).await;
    directory.create_channels(&[new_channel(1, kind, &[1, 2, 3, 4])]).await.expect("creates");
    confirm_all(&directory).await;
    directory
}

async fn seen<D: Directory>(directory: &D) -> Channel {
    directory.channels(&[channel_id(1)]).await.expect("looks").pop().expect("there")
}

async fn changed<D: Directory>(
    directory: &D,
    actor: u128,
    change: ChannelChange,
) -> Result<usize, ChangeRefused> {
    let changed = directory.change(channel_id(1), user(actor), change, NOW).await.expect("answers");
    changed.map(|users| users.len())
}

async fn roles<D: Directory>(directory: &D) -> Vec<Role> {
    let members = directory.members(channel_id(1), None, 10).await.expect("looks");
    members.iter().map(|member| member.role).collect()
}

fn topic(text: &str) -> ChannelChange {
    ChannelChange::Update(ChannelPatch { topic: Some(text.into()), ..ChannelPatch::default() })
}

async fn a_change_shows_once_confirmed<D: Directory>(directory: D) {
    let directory = with_channel(directory, ChannelKind::Group).await;
    let before = seen(&directory).await;
    for text in ["first", "second"] {
        assert_eq!(changed(&directory, 1, topic(text)).await, Ok(0));
        let shown = seen(&directory).await;
        assert_eq!((shown.topic, shown.name), (before.topic.clone(), before.name.clone()), "not before");
    }
    let admins_post =
        ChannelPatch { admins_post: Some(true), slow_mode_s: Some(7), ..ChannelPatch::default() };
    assert_eq!(changed(&directory, 1, ChannelChange::Update(admins_post)).await, Ok(0));
    let record = records(&directory, channel_id(1)).await.pop().expect("three rows");
    let told = record.channel.clone().expect("as it is");
    assert_eq!((record.kind(), record.version, &told.topic[..]), (MembershipKind::Updated, 4, "second"));
    assert!(told.settings.is_some_and(|settings| settings.admins_post && settings.slow_mode_s == 7));
    confirm_all(&directory).await;
    let after = seen(&directory).await;
    assert_eq!((&after.topic[..], after.settings.slow_mode_s, after.version), ("second", 7, 4));
    assert_eq!(changed(&directory, 1, topic("second")).await, Ok(0), "as it is");
    assert_eq!(changed(&directory, 1, ChannelChange::SetRole(user(2), Role::Admin)).await, Ok(1));
    assert_eq!(roles(&directory).await[1], Role::Member, "not before it is confirmed");
    let pending = directory.membership(&[(channel_id(1), user(2))]).await.expect("looks");
    assert!(pending[0].is_some(), "the membership goes on");
    confirm_all(&directory).await;
    assert_eq!(roles(&directory).await[1], Role::Admin);
}

async fn the_table_decides<D: Directory>(directory: D) {
    let directory = with_channel(directory, ChannelKind::Public).await;
    let forbidden = |operation| Err(NOT_ALLOWED(operation, Refusal::Forbidden));
    assert_eq!(changed(&directory, 2, topic("x")).await, forbidden(Operation::ChangeChannel));
    assert_eq!(changed(&directory, 2, ChannelChange::Delete).await, forbidden(Operation::DeleteChannel));
    assert_eq!(
        changed(&directory, 2, ChannelChange::Remove(user(3))).await,
        forbidden(Operation::RemoveMember)
    );
    assert_eq!(
        changed(&directory, 2, ChannelChange::Remove(user(9))).await,
        forbidden(Operation::RemoveMember)
    );
    let outside = Err(NOT_ALLOWED(Operation::ChangeChannel, Refusal::NotAMember));
    assert_eq!(changed(&directory, 9, topic("x")).await, outside);
    assert_eq!(
        changed(&directory, 1, ChannelChange::Remove(user(9))).await,
        Err(ChangeRefused::NoSuchMember)
    );
    let nobody = ChannelChange::SetRole(user(9), Role::Admin);
    assert_eq!(changed(&directory, 1, nobody).await, Err(ChangeRefused::NoSuchMember));
    // What was written decides, though nobody is told of it yet.
    assert_eq!(changed(&directory, 1, ChannelChange::SetRole(user(2), Role::Admin)).await, Ok(1));
    assert_eq!(changed(&directory, 2, topic("x")).await, Ok(0));
    assert_eq!(changed(&directory, 1, ChannelChange::SetRole(user(2), Role::Member)).await, Ok(1));
    assert_eq!(changed(&directory, 2, topic("y")).await, forbidden(Operation::ChangeChannel));
    let unknown = directory.change(channel_id(7), user(1), topic("x"), NOW).await.expect("answers");
    assert_eq!(unknown, Err(NOT_ALLOWED(Operation::SeeChannel, Refusal::NotFound)));
}

async fn there_is_one_owner<D: Directory>(directory: D) {
    let directory = with_channel(directory, ChannelKind::Group).await;
    assert_eq!(changed(&directory, 1, ChannelChange::Remove(user(1))).await, Err(ChangeRefused::OwnerStays));
    assert_eq!(changed(&directory, 1, ChannelChange::SetRole(user(3), Role::Owner)).await, Ok(2));
    let record = records(&directory, channel_id(1)).await.pop().expect("one row");
    assert_eq!((record.kind(), record.version, record.members.len()), (MembershipKind::Role, 2, 2));
    confirm_all(&directory).await;
    assert_eq!(roles(&directory).await, [Role::Admin, Role::Member, Role::Owner, Role::Member]);
    assert_eq!(changed(&directory, 1, ChannelChange::Remove(user(1))).await, Ok(1), "now others have one");
    for number in [2, 4] {
        assert_eq!(changed(&directory, 3, ChannelChange::Remove(user(number))).await, Ok(1));
    }
    assert_eq!(changed(&directory, 3, ChannelChange::Remove(user(3))).await, Ok(1), "alone");
}

async fn who_joins_where_nobody_is_owns_it<D: Directory>(directory: D) {
    let directory = peopled(directory).await;
    directory.create_channels(&[new_channel(1, ChannelKind::Public, &[1])]).await.expect("creates");
    assert_eq!(changed(&directory, 1, ChannelChange::Remove(user(1))).await, Ok(1));
    for number in [3, 2, 1] {
        let join = ChannelChange::Add(vec![(user(number), Role::Member)]);
        assert_eq!(changed(&directory, number, join).await, Ok(1));
    }
    confirm_all(&directory).await;
    assert_eq!(roles(&directory).await, [Role::Member, Role::Member, Role::Owner]);
}

async fn a_deleted_channel_is_gone<D: Directory>(directory: D) {
    let directory = with_channel(directory, ChannelKind::Public).await;
    assert_eq!(changed(&directory, 1, ChannelChange::Delete).await, Ok(0));
    let record = records(&directory, channel_id(1)).await.pop().expect("one row");
    assert_eq!((record.kind(), record.version), (MembershipKind::Deleted, 2));
    confirm_all(&directory).await;
    assert_eq!(directory.channels(&[channel_id(1)]).await.expect("looks"), []);
    assert_eq!(directory.memberships(&[user(1)]).await.expect("looks"), []);
    assert_eq!(directory.discover("", None, 10).await.expect("looks"), []);
    let gone = Err(NOT_ALLOWED(Operation::SeeChannel, Refusal::NotFound));
    let again = ChannelChange::Add(vec![(user(5), Role::Member)]);
    for change in [ChannelChange::Delete, topic("x"), again] {
        assert_eq!(changed(&directory, 1, change).await, gone);
    }
}

async fn public_channels_are_found<D: Directory>(directory: D) {
    let directory = peopled(directory).await;
    let mut new: Vec<_> = (0..5).map(|number| new_channel(number, ChannelKind::Public, &[1, 2])).collect();
    new[3].channel.name = "100% Tea_Room in Åbo".into();
    new.push(new_channel(6, ChannelKind::Private, &[1]));
    directory.create_channels(&new).await.expect("creates");
    assert_eq!(directory.discover("", None, 10).await.expect("looks"), [], "not before they are confirmed");
    confirm_all(&directory).await;
    let found = async |text: &str, after: Option<ChannelId>, limit| {
        let found = directory.discover(text, after, limit).await.expect("looks");
        assert!(found.iter().all(|(channel, count)| channel.kind == ChannelKind::Public && *count == 2));
        found.iter().map(|(channel, _)| channel.id).collect::<Vec<_>>()
    };
    assert_eq!(found("", None, 2).await, [channel_id(0), channel_id(1)]);
    assert_eq!(found("", Some(channel_id(1)), 9).await, [channel_id(2), channel_id(3), channel_id(4)]);
    assert_eq!(found("CHANNEL", None, 9).await.len(), 4);
    for text in ["tea_room", "100%", "%", "_", "ABO", "åb", "a\u{30a}bo"] {
        assert_eq!(found(text, None, 9).await, [channel_id(3)], "{text}");
    }
    assert_eq!(found("\\", None, 9).await, []);
}

async fn a_mute_is_the_members_own<D: Directory>(directory: D) {
    let directory = with_channel(directory, ChannelKind::Group).await;
    let muted = async |number| {
        directory.membership(&[(channel_id(1), user(number))]).await.expect("looks")[0]
            .clone()
            .expect("there")
    };
    for until in [Some(UnixMillis(5)), Some(UnixMillis::MAX), None] {
        assert!(directory.mute(channel_id(1), user(2), until).await.expect("mutes"));
        assert_eq!((muted(2).await.muted_until, muted(3).await.muted_until), (until, None));
    }
    assert!(!directory.mute(channel_id(1), user(9), None).await.expect("answers"));
    assert_eq!(directory.unsent(None, 10).await.expect("lists"), []);
}

async fn a_block_closes_the_dm<D: Directory>(directory: D) {
    let directory = peopled(directory).await;
    let mut dm = new_channel(1, ChannelKind::Dm, &[1, 2]);
    dm.members[0].1 = Role::Member;
    directory.create_channels(&[dm]).await.expect("creates");
    assert_eq!(directory.dm_of(user(2), user(1)).await.expect("looks"), Some(channel_id(1)));
    assert_eq!(directory.dm_of(user(2), user(3)).await.expect("looks"), None);
    let asked = [channel_id(1), channel_id(2)];
    for (of, peers) in [(1, vec![(channel_id(1), user(2))]), (2, vec![(channel_id(1), user(1))]), (3, vec![])]
    {
        assert_eq!(directory.peers(user(of), &asked).await.expect("looks"), peers);
    }
    confirm_all(&directory).await;
    let step = async |blocks: bool, blocker: u128, rows: usize, is_closed: bool| {
        let other = user(3 - blocker);
        if blocks {
            directory.block(user(blocker), other, NOW).await.expect("blocks");
        } else {
            directory.unblock(user(blocker), other).await.expect("unblocks");
        }
        let written = records(&directory, channel_id(1)).await;
        assert_eq!(written.len(), rows, "{blocker} {blocks}");
        assert!(written.iter().all(|record| record.kind() == MembershipKind::Closed));
        confirm_all(&directory).await;
        assert_eq!(seen(&directory).await.is_closed, is_closed, "{blocker} {blocks}");
    };
    step(true, 1, 1, true).await;
    step(true, 1, 0, true).await;
    step(true, 2, 0, true).await;
    step(false, 1, 0, true).await;
    step(false, 2, 1, false).await;
    step(false, 2, 0, false).await;
    directory.block(user(1), user(3), NOW).await.expect("blocks");
    assert_eq!(directory.unsent(None, 9).await.expect("lists"), [], "they have no DM");
}

/// What someone's settings say of DMs holds for groups and channels, too; what they say of these alone, for no DM.
async fn nobody_is_brought_in_against_their_settings<D: Directory>(directory: D) {
    let directory = peopled(directory).await;
    let made = async |number, kind, members: &[u128]| {
        let created = directory.create_channels(&[new_channel(number, kind, members)]).await;
        matches!(created.expect("answers")[..], [Created::New(_)])
    };
    assert!(made(1, ChannelKind::Public, &[1]).await);
    let added = async || {
        let add = ChannelChange::Add(vec![(user(2), Role::Member)]);
        let done = directory.change(channel_id(1), user(1), add, NOW).await.expect("answers");
        if done == Ok(vec![user(2)]) {
            let remove = ChannelChange::Remove(user(2));
            directory.change(channel_id(1), user(1), remove, NOW).await.expect("answers").expect("removes");
            return true;
        }
        assert_eq!(done, Err(ChangeRefused::Blocked));
        false
    };
    let mut said = "{}".to_owned();
    let mut set = async |to: &str| {
        let swap = SettingsSwap { from: said.clone(), to: to.into() };
        let change = ProfileChange { settings: Some(swap), ..ProfileChange::default() };
        directory.change_profile(user(2), change, NOW).await.expect("changes");
        said = to.into();
    };
    let mut number = 10;
    let mut check = async |settings: &str, is_let_in: bool| {
        set(settings).await;
        for (kind, members) in [
            (ChannelKind::Group, &[1, 2][..]),
            (ChannelKind::Private, &[1, 2]),
            (ChannelKind::Public, &[1, 2]),
            (ChannelKind::Group, &[1, 2, 3]),
        ] {
            number += 1;
            assert_eq!(made(number, kind, members).await, is_let_in, "{settings} {kind:?} {members:?}");
        }
        assert_eq!(added().await, is_let_in, "{settings}");
    };
    let [dms_contacts, dms_nobody] =
        ["contacts", "nobody"].map(|who| format!(r#"{{"privacy":{{"direct_messages":"{who}"}}}}"#));
    let [adds_contacts, adds_nobody] =
        ["contacts", "nobody"].map(|who| format!(r#"{{"privacy":{{"add_to_channels":"{who}"}}}}"#));
    check("{}", true).await;
    for strict in [&dms_contacts, &dms_nobody, &adds_contacts, &adds_nobody] {
        check(strict, false).await;
    }
    directory.request_contact(user(1), user(2), NOW).await.expect("asks");
    directory.accept_contact(user(2), user(1), NOW).await.expect("accepts");
    for (settings, is_let_in) in
        [(&dms_contacts, true), (&adds_contacts, true), (&dms_nobody, false), (&adds_nobody, false)]
    {
        check(settings, is_let_in).await;
    }
    assert!(made(2, ChannelKind::Dm, &[1, 2]).await, "a DM is no channel that one is added to");
    check(&dms_nobody, true).await;
}

/// However late a block or a setting comes: it was there before the writing, so it counts.
async fn nobody_brings_in_those_who_are_apart<D: Directory>(directory: D) {
    let directory = peopled(directory).await;
    let make = async |number, kind, members: &[u128]| {
        directory.create_channels(&[new_channel(number, kind, members)]).await.expect("answers")[0].clone()
    };
    directory.block(user(1), user(2), NOW).await.expect("blocks");
    for pair in [[1, 2], [2, 1]] {
        for kind in ChannelKind::ALL {
            assert_eq!(make(1, kind, &pair).await, Created::Refused, "{kind:?} {pair:?}");
        }
    }
    assert_eq!(make(1, ChannelKind::Group, &[1, 99]).await, Created::Refused, "nobody knows them");
    assert_eq!(directory.unsent(None, 9).await.expect("lists"), [], "nothing was made");
    for (number, owner, other) in [(2, 1, 2), (3, 2, 1)] {
        assert_eq!(make(number, ChannelKind::Public, &[owner]).await, Created::New(channel_id(number)));
        let change = async |actor, users: &[u128]| {
            let users = users.iter().map(|number| (user(*number), Role::Member)).collect();
            directory
                .change(channel_id(number), user(actor), ChannelChange::Add(users), NOW)
                .await
                .expect("answers")
        };
        assert_eq!(change(owner, &[3, other]).await, Err(ChangeRefused::Blocked));
        assert_eq!(change(owner, &[3, 99]).await, Ok(vec![user(3)]));
        assert_eq!(change(other, &[other]).await, Ok(vec![user(other)]), "by oneself one may");
    }
    assert_eq!(make(4, ChannelKind::Dm, &[1, 3]).await, Created::New(channel_id(4)));
    directory.block(user(3), user(1), NOW).await.expect("blocks");
    assert_eq!(make(5, ChannelKind::Dm, &[1, 3]).await, Created::Refused, "not even found");
    directory.unblock(user(3), user(1)).await.expect("unblocks");
    assert_eq!(make(5, ChannelKind::Dm, &[1, 3]).await, Created::Existing(channel_id(4)));
}
