//! The contract of invitations into channels.

use ringside_types::UnixMillis;
use ringside_types::authorization::{Operation, Refusal};
use ringside_wire::records::MembershipKind;

use super::{NOW, channel_id, confirm_all, new_channel, peopled, records, user};
use crate::Directory;
use crate::channels::invitations::{ChannelInvitation, Invited, WAITING_PER_INVITER_MAX};
use crate::channels::{ChangeRefused, ChannelChange, ChannelKind, Role};

const HIDDEN: ChangeRefused = ChangeRefused::NotAllowed(Operation::SeeChannel, Refusal::NotFound);

/// Runs every part, each over a fresh engine.
pub(super) async fn suite<D: Directory>(make: impl AsyncFn() -> D) {
    a_yes_makes_a_member(make().await).await;
    a_no_leaves_nothing(make().await).await;
    who_may_not_add_invites_nobody(make().await).await;
    one_that_is_not_good_any_more_does_nothing(make().await).await;
    one_person_fills_nobodys_list(make().await).await;
    an_erased_account_neither_invites_nor_is_invited(make().await).await;
}

/// A private channel of user 1, the owner, and user 2.
async fn with_channel<D: Directory>(directory: D) -> D {
    let directory = peopled(directory).await;
    directory.create_channels(&[new_channel(1, ChannelKind::Private, &[1, 2])]).await.expect("creates");
    confirm_all(&directory).await;
    directory
}

async fn invite<D: Directory>(directory: &D, actor: u128, invited: u128) -> Result<Invited, ChangeRefused> {
    directory.invite_into(channel_id(1), user(actor), user(invited), NOW).await.expect("answers")
}

async fn accept<D: Directory>(directory: &D, invited: u128) -> Result<(), ChangeRefused> {
    directory.accept_invitation(channel_id(1), user(invited), NOW).await.expect("answers")
}

async fn waiting<D: Directory>(directory: &D, invited: u128) -> Vec<ChannelInvitation> {
    directory.invitations_of(user(invited)).await.expect("lists")
}

async fn is_member<D: Directory>(directory: &D, number: u128) -> bool {
    let pairs = [(channel_id(1), user(number))];
    directory.membership(&pairs).await.expect("looks")[0].is_some()
}

async fn a_yes_makes_a_member<D: Directory>(directory: D) {
    let directory = with_channel(directory).await;
    assert_eq!(accept(&directory, 3).await, Err(HIDDEN), "nobody has invited them");
    assert_eq!(invite(&directory, 1, 3).await, Ok(Invited::Waiting));
    assert_eq!(invite(&directory, 1, 3).await, Ok(Invited::Waiting), "it waits still");
    assert!(!is_member(&directory, 3).await);
    assert_eq!(directory.unsent(None, 9).await.expect("lists"), [], "the log is not told");
    let listed = waiting(&directory, 3).await;
    assert_eq!(listed.len(), 1);
    let ChannelInvitation { channel, inviter_id, created_at } = &listed[0];
    assert_eq!((channel.id, *inviter_id, *created_at), (channel_id(1), user(1), NOW));
    assert_eq!(accept(&directory, 4).await, Err(HIDDEN), "it is another's");
    assert_eq!(accept(&directory, 3).await, Ok(()));
    let record = records(&directory, channel_id(1)).await.pop().expect("one row");
    assert_eq!((record.kind(), &record.actor_id[..]), (MembershipKind::Added, &user(3).as_bytes()[..]));
    confirm_all(&directory).await;
    let member = directory.membership(&[(channel_id(1), user(3))]).await.expect("looks")[0].clone();
    assert_eq!(member.expect("a member").role, Role::Member);
    assert_eq!(waiting(&directory, 3).await, [], "it is used up");
    assert_eq!(accept(&directory, 3).await, Ok(()), "they are in it");
    assert_eq!(invite(&directory, 1, 3).await, Ok(Invited::Member));
    let leave = ChannelChange::Remove(user(3));
    directory.change(channel_id(1), user(3), leave, NOW).await.expect("answers").expect("leaves");
    confirm_all(&directory).await;
    assert_eq!(accept(&directory, 3).await, Err(HIDDEN), "a yes counts once");
}

async fn a_no_leaves_nothing<D: Directory>(directory: D) {
    let directory = with_channel(directory).await;
    let withdraw = async |actor, invited| {
        let withdrawn = directory.withdraw_invitation(channel_id(1), user(actor), user(invited));
        withdrawn.await.expect("answers")
    };
    for actor in [3, 1] {
        assert_eq!(invite(&directory, 1, 3).await, Ok(Invited::Waiting));
        assert_eq!(
            withdraw(2, 3).await,
            Err(ChangeRefused::NotAllowed(Operation::AddMembers, Refusal::Forbidden))
        );
        assert_eq!(waiting(&directory, 3).await.len(), 1, "it waits still");
        assert_eq!(withdraw(actor, 3).await, Ok(()), "by {actor}");
        assert_eq!(waiting(&directory, 3).await, []);
        assert_eq!(accept(&directory, 3).await, Err(HIDDEN));
        assert_eq!(withdraw(actor, 3).await, Ok(()), "there is none");
    }
    assert_eq!(invite(&directory, 1, 3).await, Ok(Invited::Waiting));
    let add = ChannelChange::Add(vec![(user(3), Role::Member)]);
    directory.change(channel_id(1), user(1), add, NOW).await.expect("answers").expect("adds");
    assert_eq!(waiting(&directory, 3).await, [], "there is nothing left to ask");
}

async fn who_may_not_add_invites_nobody<D: Directory>(directory: D) {
    let directory = with_channel(directory).await;
    let refused = |refusal| Err(ChangeRefused::NotAllowed(Operation::AddMembers, refusal));
    assert_eq!(invite(&directory, 2, 3).await, refused(Refusal::Forbidden));
    assert_eq!(invite(&directory, 4, 3).await, refused(Refusal::NotFound));
    assert_eq!(invite(&directory, 1, 99).await, Ok(Invited::Gone));
    directory.block(user(3), user(1), NOW).await.expect("blocks");
    assert_eq!(invite(&directory, 1, 3).await, Err(ChangeRefused::Blocked));
    let unknown = directory.invite_into(channel_id(9), user(1), user(3), NOW).await.expect("answers");
    assert_eq!(unknown, Err(HIDDEN));
    assert_eq!(waiting(&directory, 3).await, []);
}

async fn one_that_is_not_good_any_more_does_nothing<D: Directory>(directory: D) {
    let directory = with_channel(directory).await;
    assert_eq!(invite(&directory, 1, 3).await, Ok(Invited::Waiting));
    directory.block(user(3), user(1), NOW).await.expect("blocks");
    assert_eq!(waiting(&directory, 3).await, []);
    assert_eq!(accept(&directory, 3).await, Err(HIDDEN), "a block came in between");
    directory.unblock(user(3), user(1)).await.expect("unblocks");
    assert_eq!(waiting(&directory, 3).await.len(), 1);
    let owner = ChannelChange::SetRole(user(2), Role::Owner);
    directory.change(channel_id(1), user(1), owner, NOW).await.expect("answers").expect("passes it on");
    let member = ChannelChange::SetRole(user(1), Role::Member);
    directory.change(channel_id(1), user(2), member, NOW).await.expect("answers").expect("sets it");
    assert_eq!(waiting(&directory, 3).await, []);
    assert_eq!(accept(&directory, 3).await, Err(HIDDEN), "the inviter may add nobody any more");
    confirm_all(&directory).await;
    assert_eq!(invite(&directory, 2, 4).await, Ok(Invited::Waiting));
    directory
        .change(channel_id(1), user(2), ChannelChange::Delete, NOW)
        .await
        .expect("answers")
        .expect("goes");
    assert_eq!(waiting(&directory, 4).await, []);
    assert_eq!(accept(&directory, 4).await, Err(HIDDEN), "the channel is gone");
}

async fn one_person_fills_nobodys_list<D: Directory>(directory: D) {
    let directory = peopled(directory).await;
    for number in 0..=WAITING_PER_INVITER_MAX as u128 {
        let channel = new_channel(number, ChannelKind::Private, &[1]);
        directory.create_channels(&[channel]).await.expect("creates");
        confirm_all(&directory).await;
        let invited =
            directory.invite_into(channel_id(number), user(1), user(3), NOW).await.expect("answers");
        let is_last = number == WAITING_PER_INVITER_MAX as u128;
        assert_eq!(invited, Ok(if is_last { Invited::Full } else { Invited::Waiting }), "{number}");
    }
    let channel = new_channel(99, ChannelKind::Private, &[2]);
    directory.create_channels(&[channel]).await.expect("creates");
    let another = directory.invite_into(channel_id(99), user(2), user(3), UnixMillis(5)).await;
    assert_eq!(another.expect("answers"), Ok(Invited::Waiting), "others may");
}

async fn an_erased_account_neither_invites_nor_is_invited<D: Directory>(directory: D) {
    let directory = with_channel(directory).await;
    for invited in [3, 4] {
        assert_eq!(invite(&directory, 1, invited).await, Ok(Invited::Waiting));
    }
    directory.erase(user(3), None, NOW).await.expect("erases");
    assert_eq!(waiting(&directory, 3).await, []);
    assert_eq!(invite(&directory, 1, 3).await, Ok(Invited::Gone));
    directory.erase(user(1), None, NOW).await.expect("erases");
    assert_eq!(waiting(&directory, 4).await, []);
}
