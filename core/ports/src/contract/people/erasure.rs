//! The contract of [`Administration::erase`](crate::Administration::erase): what goes, what stays, and that it leaves every channel.

use ringside_types::{ChannelId, SessionId};
use ringside_wire::records::{Membership, MembershipKind};
use uuid::Uuid;

use super::{LATER, NOW, all, peopled, user};
use crate::Directory;
use crate::accounts::NewSession;
use crate::channels::{Channel, ChannelChange, ChannelKind, NewChannel, Role};
use crate::contract::accounts::new_user;
use crate::people::profiles::{Changed, ProfileChange, ServerRole};
use crate::people::relations::Requested;

/// Runs every part, each over a fresh engine.
pub async fn suite<D: Directory>(make: impl AsyncFn() -> D) {
    what_is_personal_goes(make().await).await;
    names_are_free_again(make().await).await;
    it_leaves_every_channel(make().await).await;
    nothing_begins_with_the_erased(make().await).await;
    a_second_time_changes_nothing(make().await).await;
}

async fn what_is_personal_goes<D: Directory>(directory: D) {
    let directory = peopled(directory).await;
    let session = SessionId(Uuid::from_u128(7));
    let new = NewSession {
        id: session,
        user_id: user(1),
        device: "telephone".into(),
        refresh_hash: [1; 32],
        created_at: NOW,
        expires_at: LATER,
    };
    directory.open_sessions(&[new]).await.expect("opens");
    directory.request_contact(user(1), user(2), NOW).await.expect("asks");
    directory.request_contact(user(3), user(1), NOW).await.expect("asks");
    directory.block(user(1), user(4), NOW).await.expect("blocks");
    directory.block(user(5), user(1), NOW).await.expect("blocks");
    assert_eq!(directory.erase(user(1), Some(user(1)), LATER).await.expect("erases"), Some(vec![]));
    let left = directory.profiles(&[user(1)]).await.expect("looks").remove(0);
    assert!(left.user.username.starts_with("deleted-"), "{left:?}");
    assert!(!left.user.email.contains('@'), "no address: {left:?}");
    assert_eq!((left.user.display_name.as_str(), left.user.avatar_url.as_str()), ("", ""));
    assert_eq!((left.status_message.as_str(), left.settings.as_str()), ("", "{}"));
    assert_eq!((left.role, left.erased_at), (ServerRole::User, Some(LATER)));
    assert_eq!(directory.users(&[user(1)]).await.expect("looks").len(), 1, "messages keep an author");
    assert_eq!(directory.sessions_open(&[session]).await.expect("looks"), [false]);
    assert_eq!(directory.sessions(user(1), None, all()).await.expect("lists"), []);
    assert_eq!(directory.password_hash(user(1)).await.expect("looks"), None);
    for login in ["user1", "user1@example.org", &left.user.username, &left.user.email] {
        assert_eq!(directory.user_by_login(login).await.expect("looks"), None, "{login}");
    }
    for other in [2, 3] {
        assert_eq!(directory.contacts(user(other), None, all()).await.expect("lists"), []);
    }
    assert_eq!(directory.blocks(user(5), all()).await.expect("lists"), []);
    let audit = directory.audit(user(1), all()).await.expect("lists");
    let audit: Vec<_> = audit.iter().map(|entry| (entry.action.as_str(), entry.actor_id)).collect();
    assert_eq!(audit, [("erased", Some(user(1)))]);
}

async fn names_are_free_again<D: Directory>(directory: D) {
    let directory = peopled(directory).await;
    directory.erase(user(2), None, LATER).await.expect("erases");
    let mut next = new_user(2);
    next.user.id = user(20);
    assert_eq!(directory.create_users(&[next]).await.expect("creates"), [None]);
    let (found, _) = directory.user_by_login("user2").await.expect("looks").expect("there");
    assert_eq!(found.id, user(20));
    // An account that was named so on purpose is in nobody's way.
    let digits = user(3).0.simple().to_string();
    let mut squatter = new_user(30);
    squatter.user.username = format!("deleted-{}", &digits[20..]);
    directory.create_users(&[squatter]).await.expect("creates");
    directory.erase(user(3), None, LATER).await.expect("erases");
    assert!(directory.profiles(&[user(3)]).await.expect("looks")[0].erased_at.is_some());
}

async fn it_leaves_every_channel<D: Directory>(directory: D) {
    let directory = peopled(directory).await;
    let channels = [(1, ChannelKind::Dm, vec![1, 2]), (2, ChannelKind::Group, vec![2, 1, 3])];
    let ids: Vec<ChannelId> =
        channels.iter().map(|(number, ..)| ChannelId(Uuid::from_u128(*number))).collect();
    for ((_, kind, members), id) in channels.into_iter().zip(&ids) {
        let channel = Channel::new(*id, kind, String::new(), user(2), NOW);
        let role = |number| if number == 2 { Role::Owner } else { Role::Member };
        let members = members.into_iter().map(|number| (user(number), role(number))).collect();
        directory.create_channels(&[NewChannel { channel, members }]).await.expect("creates");
    }
    let sent = directory.unsent(None, 100).await.expect("lists");
    directory.confirm(&sent.iter().map(|row| row.id).collect::<Vec<_>>()).await.expect("confirms");
    let mut left = directory.erase(user(1), Some(user(1)), LATER).await.expect("erases").expect("there");
    left.sort_unstable();
    assert_eq!(left, ids);
    for row in directory.unsent(None, 100).await.expect("lists") {
        let record: Membership = ringside_wire::decode(row.record).expect("a Membership record");
        assert_eq!((record.kind(), record.version, row.version), (MembershipKind::Removed, 2, 2));
        assert_eq!(record.members[0].user_id[..], user(1).as_bytes()[..]);
    }
    assert_eq!(directory.memberships(&[user(1)]).await.expect("looks"), []);
    let add = ChannelChange::Add(vec![(user(1), Role::Member), (user(4), Role::Member)]);
    let added = directory.change(ids[1], user(2), add, LATER).await.expect("changes");
    assert_eq!(added, Ok(vec![user(4)]), "nobody adds an erased account");
}

async fn nothing_begins_with_the_erased<D: Directory>(directory: D) {
    let directory = peopled(directory).await;
    directory.erase(user(1), None, LATER).await.expect("erases");
    for (one, other) in [(1, 2), (2, 1)] {
        let asked = directory.request_contact(user(one), user(other), LATER).await.expect("answers");
        assert_eq!(asked, Requested::Gone);
        assert!(!directory.block(user(one), user(other), LATER).await.expect("answers"));
    }
    let changed = directory.change_profile(user(1), ProfileChange::default(), LATER).await;
    assert_eq!(changed.expect("answers"), Changed::Gone);
    assert!(!directory.set_role(user(1), ServerRole::Admin, LATER).await.expect("answers"));
}

async fn a_second_time_changes_nothing<D: Directory>(directory: D) {
    let directory = peopled(directory).await;
    directory.erase(user(1), None, NOW).await.expect("erases");
    let before = directory.profiles(&[user(1)]).await.expect("looks");
    assert_eq!(directory.erase(user(1), None, LATER).await.expect("answers"), Some(vec![]));
    assert_eq!(directory.profiles(&[user(1)]).await.expect("looks"), before);
    assert_eq!(directory.erase(user(99), None, LATER).await.expect("answers"), None);
}
