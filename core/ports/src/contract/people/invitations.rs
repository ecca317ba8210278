//! The contract of [`Registration`](crate::Registration) by invitation: each lets one person in.

use ringside_types::UnixMillis;
use tokio::task::JoinSet;

use super::{LATER, NOW, all, user};
use crate::Directory;
use crate::accounts::Taken;
use crate::contract::accounts::new_user;
use crate::people::registration::{Admitted, Invitation};

/// Racers for one invitation.
const RACERS: u128 = 50;

/// Runs every part, each over a fresh engine.
pub async fn suite<D: Directory>(make: impl AsyncFn() -> D) {
    an_invitation_lets_one_in(make().await).await;
    what_is_no_invitation_lets_nobody_in(make().await).await;
    a_taken_name_uses_nothing_up(make().await).await;
    of_many_with_one_invitation_one_is_let_in(make().await).await;
}

fn invitation(number: u8) -> Invitation {
    Invitation { hash: [number; 32], created_at: NOW, expires_at: LATER, used_by: None }
}

async fn an_invitation_lets_one_in<D: Directory>(directory: D) {
    directory.invite(&[invitation(2), invitation(1)]).await.expect("invites");
    assert_eq!(directory.invitations(all()).await.expect("lists"), [invitation(1), invitation(2)]);
    let made = directory.create_invited(&new_user(1), [1; 32], NOW).await.expect("answers");
    assert_eq!(made, Admitted::Made);
    let again = directory.create_invited(&new_user(2), [1; 32], NOW).await.expect("answers");
    assert_eq!(again, Admitted::Refused);
    let used = Invitation { used_by: Some(user(1)), ..invitation(1) };
    assert_eq!(directory.invitations(all()).await.expect("lists"), [used, invitation(2)]);
    for (number, expected) in [(1, Some(used)), (2, Some(invitation(2))), (3, None)] {
        assert_eq!(directory.invitation([number; 32]).await.expect("looks"), expected);
    }
    assert_eq!(directory.users(&[user(1), user(2)]).await.expect("looks"), [new_user(1).user]);
    assert!(!directory.uninvite([1; 32]).await.expect("answers"), "what is used up stays");
}

async fn what_is_no_invitation_lets_nobody_in<D: Directory>(directory: D) {
    directory.invite(&[invitation(1), invitation(2)]).await.expect("invites");
    assert!(directory.uninvite([2; 32]).await.expect("takes back"));
    for (number, now) in [(9, NOW), (1, LATER), (2, NOW)] {
        let refused = directory.create_invited(&new_user(1), [number; 32], now).await.expect("answers");
        assert_eq!(refused, Admitted::Refused, "{number}");
    }
    let before = UnixMillis(LATER.0 - 1);
    let made = directory.create_invited(&new_user(1), [1; 32], before).await.expect("answers");
    assert_eq!(made, Admitted::Made);
}

async fn a_taken_name_uses_nothing_up<D: Directory>(directory: D) {
    directory.create_users(&[new_user(1)]).await.expect("creates");
    directory.invite(&[invitation(1)]).await.expect("invites");
    let mut same = new_user(2);
    same.user.username = "USER1".into();
    let taken = directory.create_invited(&same, [1; 32], NOW).await.expect("answers");
    assert_eq!(taken, Admitted::Taken(Taken::Username));
    let made = directory.create_invited(&new_user(2), [1; 32], NOW).await.expect("answers");
    assert_eq!(made, Admitted::Made);
    let refused = directory.create_invited(&same, [1; 32], NOW).await.expect("answers");
    assert_eq!(refused, Admitted::Refused, "names are not told without an invitation");
}

async fn of_many_with_one_invitation_one_is_let_in<D: Directory>(directory: D) {
    directory.invite(&[invitation(1)]).await.expect("invites");
    let mut racers = JoinSet::new();
    for racer in 0..RACERS {
        let directory = directory.clone();
        racers.spawn(async move { directory.create_invited(&new_user(racer), [1; 32], NOW).await });
    }
    let answers = racers.join_all().await;
    assert_eq!(answers.iter().filter(|answer| **answer == Ok(Admitted::Made)).count(), 1);
    assert_eq!(directory.every_profile(all()).await.expect("lists").len(), 1);
}
