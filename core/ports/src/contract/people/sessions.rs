//! The contract of `Sessions`: listed, ended, and what a changed password ends.

use ringside_types::{SessionId, UnixMillis, UserId};
use tokio::task::JoinSet;
use uuid::Uuid;

use super::{LATER, NOW, all, peopled, user};
use crate::Directory;
use crate::accounts::{Exchange, NewSession};
use crate::people::After;
use crate::people::sessions::{PasswordChange, Session, Which};

/// Changes of one password at once.
const RACERS: u32 = 200;

/// Runs every part, each over a fresh engine.
pub async fn suite<D: Directory>(make: impl AsyncFn() -> D) {
    open_sessions_are_listed(make().await).await;
    a_session_is_ended_by_its_user_alone(make().await).await;
    a_changed_password_ends_the_others(make().await).await;
    of_changes_at_once_one_wins(make().await).await;
}

fn session(number: u8) -> SessionId {
    SessionId(Uuid::from_u128(u128::from(number)))
}

async fn signed_in<D: Directory>(directory: &D, number: u128, token: u8) {
    let new = NewSession {
        id: session(token),
        user_id: user(number),
        device: format!("device {token}"),
        refresh_hash: [token; 32],
        created_at: NOW,
        expires_at: LATER,
    };
    directory.open_sessions(&[new]).await.expect("opens");
}

async fn open<D: Directory>(directory: &D, number: u128, at: UnixMillis) -> Vec<SessionId> {
    let open = directory.sessions(user(number), Some(at), all()).await.expect("lists");
    open.iter().map(|session| session.id).collect()
}

async fn open_sessions_are_listed<D: Directory>(directory: D) {
    let directory = peopled(directory).await;
    for token in [1, 2, 3] {
        signed_in(&directory, 1, token).await;
    }
    signed_in(&directory, 2, 4).await;
    let (now, expires_at) = (UnixMillis(NOW.0 + 5), UnixMillis(LATER.0 + 5));
    let exchange = Exchange { presented: [2; 32], replacement: [20; 32], now, expires_at };
    directory.exchange(exchange).await.expect("rotates");
    directory.end_sessions(user(1), Which::One(session(3))).await.expect("ends");
    let listed = directory.sessions(user(1), Some(NOW), all()).await.expect("lists");
    let told = |id: u8, used_at, expires_at| Session {
        id: session(id),
        device: format!("device {id}"),
        created_at: NOW,
        used_at,
        expires_at,
        ended: false,
    };
    assert_eq!(listed, [told(1, NOW, LATER), told(2, now, expires_at)]);
    assert_eq!(open(&directory, 1, LATER).await, [session(2)], "an expired one is not open");
    let ever = directory.sessions(user(1), None, all()).await.expect("lists");
    assert_eq!(ever.iter().map(|one| one.ended).collect::<Vec<_>>(), [false, false, true]);
    let part = After { after: Some(session(1)), limit: 1 };
    let next = directory.sessions(user(1), None, part).await.expect("lists");
    assert_eq!(next.iter().map(|one| one.id).collect::<Vec<_>>(), [session(2)]);
}

async fn a_session_is_ended_by_its_user_alone<D: Directory>(directory: D) {
    let directory = peopled(directory).await;
    for (number, token) in [(1, 1), (1, 2), (1, 3), (2, 4)] {
        signed_in(&directory, number, token).await;
    }
    let end = async |number: u128, which: Which| -> Vec<SessionId> {
        directory.end_sessions(user(number), which).await.expect("ends")
    };
    assert_eq!(end(2, Which::One(session(1))).await, [], "somebody else's");
    assert_eq!(end(1, Which::One(session(99))).await, []);
    for _ in 0..2 {
        assert_eq!(end(1, Which::One(session(1))).await, [session(1)], "a retry finds it");
    }
    assert_eq!(end(1, Which::AllBut(session(2))).await, [session(3)]);
    assert_eq!(end(1, Which::AllBut(session(2))).await, []);
    assert_eq!(open(&directory, 1, NOW).await, [session(2)]);
    assert_eq!(end(1, Which::All).await, [session(2)]);
    assert_eq!(open(&directory, 2, NOW).await, [session(4)]);
    assert_eq!(directory.sessions_open(&[session(1), session(4)]).await.expect("looks"), [false, true]);
}

fn change(from: Option<&str>, to: &str, keep: Option<SessionId>, actor: Option<UserId>) -> PasswordChange {
    PasswordChange { user_id: user(1), from: from.map(Into::into), to: to.into(), keep, actor, now: LATER }
}

async fn a_changed_password_ends_the_others<D: Directory>(directory: D) {
    let directory = peopled(directory).await;
    for (number, token) in [(1, 1), (1, 2), (1, 3), (2, 4)] {
        signed_in(&directory, number, token).await;
    }
    assert_eq!(directory.password_hash(user(1)).await.expect("looks").as_deref(), Some("hash 1"));
    let keep = Some(session(2));
    let wrong = directory.change_password(change(Some("hash 2"), "new", keep, Some(user(1)))).await;
    assert_eq!(wrong.expect("answers"), None);
    assert_eq!(open(&directory, 1, NOW).await.len(), 3, "nothing is ended");
    let done = directory.change_password(change(Some("hash 1"), "new", keep, Some(user(1)))).await;
    assert_eq!(done.expect("changes"), Some(vec![session(1), session(3)]));
    assert_eq!(directory.password_hash(user(1)).await.expect("looks").as_deref(), Some("new"));
    assert_eq!(open(&directory, 1, NOW).await, [session(2)]);
    assert_eq!(open(&directory, 2, NOW).await, [session(4)]);
    let reset = directory.change_password(change(None, "reset", None, None)).await.expect("changes");
    assert_eq!(reset, Some(vec![session(2)]));
    let actions = directory.audit(user(1), all()).await.expect("lists");
    let actions: Vec<_> = actions.iter().map(|entry| (entry.action.as_str(), entry.actor_id)).collect();
    assert_eq!(actions, [("password_changed", Some(user(1))), ("password_reset", None)]);
    assert_eq!(directory.password_hash(user(99)).await.expect("looks"), None);
}

async fn of_changes_at_once_one_wins<D: Directory>(directory: D) {
    let directory = peopled(directory).await;
    let mut racers = JoinSet::new();
    for racer in 0..RACERS {
        let directory = directory.clone();
        let change = change(Some("hash 1"), &format!("hash of {racer}"), None, Some(user(1)));
        racers.spawn(async move { directory.change_password(change).await.expect("answers") });
    }
    let answers = racers.join_all().await;
    assert_eq!(answers.iter().filter(|answer| answer.is_some()).count(), 1, "of {RACERS} racers");
}
