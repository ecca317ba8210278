//! The contract of the Directory's channels: who is in them, what changes them, invitations, lists, and the outbox.

mod changes;
mod invitations;

use ringside_types::authorization::{Operation, Refusal};
use ringside_types::{ChannelId, UnixMillis, UserId};
use ringside_wire::records::{Membership, MembershipKind};
use tokio::task::JoinSet;
use uuid::Uuid;

use super::accounts::new_user;
use crate::Directory;
use crate::channels::{
    ChangeRefused, Channel, ChannelChange, ChannelKind, ChannelPatch, Created, ListRange, Member, NewChannel,
    Role,
};

const NOW: UnixMillis = UnixMillis(1_000_000);
/// Two people who open their DM at once, this often.
const RACERS: u128 = 20;

/// Runs every part, each over a fresh engine.
pub async fn suite<D: Directory>(make: impl AsyncFn() -> D) {
    changes::suite(&make).await;
    invitations::suite(&make).await;
    a_channel_is_there_once_confirmed(make().await).await;
    changes_are_versioned_in_order(make().await).await;
    what_changes_nothing_writes_nothing(make().await).await;
    an_unconfirmed_member_is_none(make().await).await;
    a_removal_counts_at_once(make().await).await;
    a_dm_exists_once(make().await).await;
    lists_go_on_where_they_ended(make().await).await;
}

fn user(number: u128) -> UserId {
    UserId(Uuid::from_u128(number))
}

fn channel_id(number: u128) -> ChannelId {
    ChannelId(Uuid::from_u128(0xc000 + number))
}

fn new_channel(number: u128, kind: ChannelKind, members: &[u128]) -> NewChannel {
    let name = format!("channel {number}");
    let channel = Channel::new(channel_id(number), kind, name, user(members[0]), NOW);
    let channel = Channel { description: "what it is for".into(), ..channel };
    let role = |index| if index == 0 { Role::Owner } else { Role::Member };
    let members = members.iter().enumerate().map(|(index, number)| (user(*number), role(index))).collect();
    NewChannel { channel, members }
}

/// With users 1 to 9.
async fn peopled<D: Directory>(directory: D) -> D {
    let users: Vec<_> = (1..10).map(new_user).collect();
    directory.create_users(&users).await.expect("creates");
    directory
}

async fn confirm_all<D: Directory>(directory: &D) {
    let rows = directory.unsent(None, 1_000).await.expect("lists");
    let ids: Vec<i64> = rows.iter().map(|row| row.id).collect();
    directory.confirm(&ids).await.expect("confirms");
}

async fn records<D: Directory>(directory: &D, channel: ChannelId) -> Vec<Membership> {
    let rows = directory.unsent(Some(channel), 1_000).await.expect("lists");
    let decode = |row: crate::channels::OutboxRow| {
        let record: Membership = ringside_wire::decode(row.record).expect("a Membership record");
        assert_eq!((record.version, &record.channel_id[..]), (row.version, &row.channel_id.as_bytes()[..]));
        record
    };
    rows.into_iter().map(decode).collect()
}

async fn a_channel_is_there_once_confirmed<D: Directory>(directory: D) {
    let directory = peopled(directory).await;
    let new = new_channel(1, ChannelKind::Group, &[1, 2]);
    let created = directory.create_channels(std::slice::from_ref(&new)).await.expect("creates");
    assert_eq!(created, [Created::New(new.channel.id)]);
    assert_eq!(directory.channels(&[new.channel.id]).await.expect("looks"), [], "not before it is confirmed");
    assert_eq!(directory.memberships(&[user(1)]).await.expect("looks"), []);
    assert_eq!(directory.members(new.channel.id, None, 10).await.expect("looks"), []);
    assert_eq!(directory.membership(&[(new.channel.id, user(1))]).await.expect("looks"), [None]);
    let [record] = &records(&directory, new.channel.id).await[..] else { panic!("one outbox row") };
    assert_eq!((record.kind(), record.version, record.members.len()), (MembershipKind::Created, 1, 2));
    assert_eq!(record.channel.as_ref().map(|channel| channel.name.as_str()), Some("channel 1"));
    confirm_all(&directory).await;
    assert_eq!(directory.channels(&[channel_id(9), new.channel.id]).await.expect("looks"), [new.channel]);
    let member = |number, role| Member {
        channel_id: channel_id(1),
        user_id: user(number),
        role,
        joined_at: NOW,
        version: 1,
        muted_until: None,
    };
    let members = directory.members(channel_id(1), None, 10).await.expect("looks");
    assert_eq!(members, [member(1, Role::Owner), member(2, Role::Member)]);
    assert_eq!(directory.unsent(None, 10).await.expect("lists"), []);
}

async fn changes_are_versioned_in_order<D: Directory>(directory: D) {
    let directory = peopled(directory).await;
    directory.create_channels(&[new_channel(1, ChannelKind::Group, &[1])]).await.expect("creates");
    let add = ChannelChange::Add(vec![(user(2), Role::Member), (user(3), Role::Guest)]);
    let change = directory.change(channel_id(1), user(1), add, NOW);
    assert_eq!(change.await.expect("changes"), Ok(vec![user(2), user(3)]));
    let remove = ChannelChange::Remove(user(2));
    let change = directory.change(channel_id(1), user(2), remove, NOW);
    assert_eq!(change.await.expect("changes"), Ok(vec![user(2)]));
    let kinds: Vec<_> =
        records(&directory, channel_id(1)).await.iter().map(|one| (one.version, one.kind())).collect();
    let (created, added, removed) = (MembershipKind::Created, MembershipKind::Added, MembershipKind::Removed);
    assert_eq!(kinds, [(1, created), (2, added), (3, added), (4, removed)]);
    confirm_all(&directory).await;
    let members = directory.members(channel_id(1), None, 10).await.expect("looks");
    let members: Vec<_> =
        members.iter().map(|member| (member.user_id, member.role, member.version)).collect();
    assert_eq!(members, [(user(1), Role::Owner, 1), (user(3), Role::Guest, 3)]);
}

async fn what_changes_nothing_writes_nothing<D: Directory>(directory: D) {
    let directory = peopled(directory).await;
    directory.create_channels(&[new_channel(1, ChannelKind::Group, &[1])]).await.expect("creates");
    confirm_all(&directory).await;
    let unchanging = [
        (channel_id(1), ChannelChange::Add(vec![(user(1), Role::Guest)])),
        (channel_id(1), ChannelChange::Add(vec![(user(99), Role::Member)])),
        (channel_id(1), ChannelChange::Add(Vec::new())),
        (channel_id(1), ChannelChange::SetRole(user(1), Role::Owner)),
        (channel_id(1), ChannelChange::Update(ChannelPatch::default())),
        (
            channel_id(1),
            ChannelChange::Update(ChannelPatch { topic: Some(String::new()), ..ChannelPatch::default() }),
        ),
    ];
    for (channel, change) in unchanging {
        let changed = directory.change(channel, user(1), change.clone(), NOW).await.expect("answers");
        let is_nothing = matches!(
            &changed,
            Ok(users) if users.is_empty()
        ) || changed
            == Err(ChangeRefused::NotAllowed(Operation::SetOwner, Refusal::Forbidden));
        assert!(is_nothing, "{change:?}: {changed:?}");
    }
    assert_eq!(directory.unsent(None, 10).await.expect("lists"), []);
    assert_eq!(directory.members(channel_id(1), None, 10).await.expect("looks")[0].role, Role::Owner);
}

async fn an_unconfirmed_member_is_none<D: Directory>(directory: D) {
    let directory = peopled(directory).await;
    directory.create_channels(&[new_channel(1, ChannelKind::Public, &[1])]).await.expect("creates");
    confirm_all(&directory).await;
    let add = ChannelChange::Add(vec![(user(2), Role::Member)]);
    let joined = directory.change(channel_id(1), user(2), add, NOW).await.expect("changes");
    assert_eq!(joined, Ok(vec![user(2)]));
    let pairs = [(channel_id(1), user(2)), (channel_id(1), user(1))];
    let before = directory.membership(&pairs).await.expect("looks");
    assert!(before[0].is_none() && before[1].is_some(), "the channel's other members stay");
    assert_eq!(directory.memberships(&[user(2)]).await.expect("looks"), []);
    confirm_all(&directory).await;
    let after = directory.membership(&pairs).await.expect("looks");
    assert_eq!(after[0].as_ref().map(|member| member.version), Some(2));
}

async fn a_removal_counts_at_once<D: Directory>(directory: D) {
    let directory = peopled(directory).await;
    directory.create_channels(&[new_channel(1, ChannelKind::Group, &[1, 2])]).await.expect("creates");
    confirm_all(&directory).await;
    let remove = ChannelChange::Remove(user(2));
    let removed = directory.change(channel_id(1), user(1), remove, NOW).await.expect("changes");
    assert_eq!(removed, Ok(vec![user(2)]));
    assert_eq!(directory.membership(&[(channel_id(1), user(2))]).await.expect("looks"), [None]);
    assert_eq!(directory.memberships(&[user(2)]).await.expect("looks"), []);
    let members = directory.members(channel_id(1), None, 10).await.expect("looks");
    assert_eq!(members.iter().map(|member| member.user_id).collect::<Vec<_>>(), [user(1)]);
}

async fn a_dm_exists_once<D: Directory>(directory: D) {
    let directory = peopled(directory).await;
    let mut racers = JoinSet::new();
    for racer in 0..RACERS {
        let directory = directory.clone();
        let pair = if racer % 2 == 0 { [1, 2] } else { [2, 1] };
        racers.spawn(async move {
            directory.create_channels(&[new_channel(racer, ChannelKind::Dm, &pair)]).await.expect("creates")
        });
    }
    let answers: Vec<Created> = racers.join_all().await.into_iter().flatten().collect();
    let made: Vec<ChannelId> =
        answers.iter().filter_map(|one| if let Created::New(id) = one { Some(*id) } else { None }).collect();
    assert_eq!(made.len(), 1, "{answers:?}");
    assert!(
        answers.iter().all(|one| matches!(one, Created::New(id) | Created::Existing(id) if *id == made[0]))
    );
    let other =
        directory.create_channels(&[new_channel(100, ChannelKind::Dm, &[1, 3])]).await.expect("creates");
    assert_eq!(other, [Created::New(channel_id(100))]);
}

fn pair(member: &Member) -> (ChannelId, UserId) {
    (member.channel_id, member.user_id)
}

async fn lists_go_on_where_they_ended<D: Directory>(directory: D) {
    let directory = peopled(directory).await;
    let everyone: Vec<u128> = (1..10).collect();
    let channels: Vec<_> = (0..7).map(|number| new_channel(number, ChannelKind::Group, &everyone)).collect();
    directory.create_channels(&channels).await.expect("creates");
    confirm_all(&directory).await;
    let mut listed = Vec::new();
    let mut before = None;
    loop {
        let range = ListRange { before, limit: 3 };
        let part = directory.list_memberships(user(4), range).await.expect("lists");
        let Some(last) = part.last() else { break };
        before = Some(last.channel_id);
        listed.extend(part.iter().map(|member| member.channel_id));
    }
    assert_eq!(listed, (0..7).rev().map(channel_id).collect::<Vec<_>>());
    let asked = [user(4), user(2), user(99)];
    let mut of_several: Vec<_> =
        directory.memberships(&asked).await.expect("lists").iter().map(pair).collect();
    of_several.sort_unstable();
    let mut expected: Vec<_> =
        (0..7).flat_map(|number| [(channel_id(number), user(2)), (channel_id(number), user(4))]).collect();
    expected.sort_unstable();
    assert_eq!(of_several, expected, "all of each, and nothing of nobody");
    let mut members = Vec::new();
    while let part = directory.members(channel_id(1), members.last().copied(), 4).await.expect("lists")
        && !part.is_empty()
    {
        members.extend(part.iter().map(|member| member.user_id));
    }
    assert_eq!(members, everyone.iter().map(|number| user(*number)).collect::<Vec<_>>());
}
