//! The contract of [`UserReader`](crate::UserReader) and [`SignIn`](crate::SignIn).

use ringside_types::limits::RETRY_WITHIN_MS;
use ringside_types::{SessionId, UnixMillis, UserId};
use tokio::task::JoinSet;
use uuid::Uuid;

use crate::Directory;
use crate::accounts::{Exchange, Exchanged, NewSession, NewUser, Taken, User};

/// Racers for one refresh token.
const RACERS: u8 = 100;
const NOW: UnixMillis = UnixMillis(1_000_000);
const LATER: UnixMillis = UnixMillis(2_000_000);

/// Runs every part, each over a fresh engine.
pub async fn suite<A: Directory>(make: impl AsyncFn() -> A) {
    accounts_are_found(make().await).await;
    names_are_unique_without_case(make().await).await;
    nothing_of_nothing(make().await).await;
    a_token_is_good_once(make().await).await;
    a_replayed_token_ends_its_session(make().await).await;
    expired_and_unknown_tokens_are_refused(make().await).await;
    a_retry_is_answered_again(make().await).await;
    a_retry_that_comes_late_is_a_replay(make().await).await;
    one_racers_token_is_good(make().await).await;
    a_session_ends_by_any_of_its_tokens(make().await).await;
}

/// An account whose names follow from its number.
pub(crate) fn new_user(number: u128) -> NewUser {
    let user = User {
        id: UserId(Uuid::from_u128(number)),
        email: format!("User{number}@Example.org"),
        username: format!("User{number}"),
        display_name: format!("Ünïcode {number}"),
        avatar_url: String::new(),
        created_at: NOW,
    };
    NewUser { user, password_hash: format!("hash {number}") }
}

async fn accounts_are_found<A: Directory>(accounts: A) {
    let new = [new_user(1), new_user(2)];
    assert_eq!(accounts.create_users(&new).await.expect("creates"), [None, None]);
    let mut found =
        accounts.users(&[new[1].user.id, new[0].user.id, new_user(3).user.id]).await.expect("finds");
    found.sort_by_key(|user| user.id);
    assert_eq!(found, [new[0].user.clone(), new[1].user.clone()]);
    for login in ["User2", "user2", "USER2@EXAMPLE.ORG"] {
        let (user, hash) = accounts.user_by_login(login).await.expect("looks").expect(login);
        assert_eq!((user, hash.as_str()), (new[1].user.clone(), "hash 2"));
    }
    // What no account can be called is no failure of the engine.
    for login in ["user3", "user2\0", "\0", "user2@example.org\0"] {
        assert_eq!(accounts.user_by_login(login).await.expect("looks"), None, "{login:?}");
    }
    let names = ["uSER2", "user3", "user1@example.org", "user1\0"].map(String::from);
    assert_eq!(accounts.users_named(&names).await.expect("finds"), [new[1].user.clone()]);
}

async fn names_are_unique_without_case<A: Directory>(accounts: A) {
    accounts.create_users(&[new_user(1)]).await.expect("creates");
    let mut email = new_user(2);
    email.user.email = "uSER1@example.ORG".into();
    let mut username = new_user(3);
    username.user.username = "uSER1".into();
    let answers = accounts.create_users(&[email, username, new_user(4)]).await.expect("answers");
    assert_eq!(
        answers,
        [Some(Taken::Email), Some(Taken::Username), None],
        "one that is refused stops no other"
    );
    let ids: Vec<UserId> = (1..=4).map(|number| UserId(Uuid::from_u128(number))).collect();
    assert_eq!(accounts.users(&ids).await.expect("finds").len(), 2, "a refused account leaves nothing");
}

async fn nothing_of_nothing<A: Directory>(accounts: A) {
    assert_eq!(accounts.create_users(&[]).await.expect("nothing"), []);
    assert_eq!(accounts.users(&[]).await.expect("nothing"), []);
    accounts.open_sessions(&[]).await.expect("nothing");
    assert!(accounts.sessions_open(&[]).await.expect("nothing").is_empty());
}

async fn signed_in<A: Directory>(accounts: &A, token: u8) -> SessionId {
    accounts.create_users(&[new_user(1)]).await.expect("creates");
    let id = SessionId(Uuid::from_u128(77));
    let session = NewSession {
        id,
        user_id: UserId(Uuid::from_u128(1)),
        device: "telephone".into(),
        refresh_hash: [token; 32],
        created_at: NOW,
        expires_at: LATER,
    };
    accounts.open_sessions(&[session]).await.expect("opens");
    id
}

fn exchange(presented: u8, replacement: u8) -> Exchange {
    Exchange { presented: [presented; 32], replacement: [replacement; 32], now: NOW, expires_at: LATER }
}

async fn is_open<A: Directory>(accounts: &A, session: SessionId) -> bool {
    accounts.sessions_open(&[session]).await.expect("looks") == [true]
}

async fn a_token_is_good_once<A: Directory>(accounts: A) {
    let session_id = signed_in(&accounts, 1).await;
    let user_id = UserId(Uuid::from_u128(1));
    for token in 1..5 {
        let answer = accounts.exchange(exchange(token, token + 1)).await.expect("answers");
        assert_eq!(answer, Exchanged::Rotated { user_id, session_id });
    }
    let unknown = SessionId(Uuid::from_u128(78));
    assert_eq!(accounts.sessions_open(&[unknown, session_id]).await.expect("looks"), [false, true]);
}

async fn a_replayed_token_ends_its_session<A: Directory>(accounts: A) {
    let session_id = signed_in(&accounts, 1).await;
    let user_id = UserId(Uuid::from_u128(1));
    accounts.exchange(exchange(1, 2)).await.expect("rotates");
    accounts.exchange(exchange(2, 3)).await.expect("rotates");
    let answer = accounts.exchange(exchange(1, 4)).await.expect("answers");
    assert_eq!(answer, Exchanged::Replayed { user_id, session_id }, "its successor was used");
    assert!(!is_open(&accounts, session_id).await);
    for token in [1, 2, 3, 4] {
        assert_eq!(accounts.exchange(exchange(token, 9)).await.expect("answers"), Exchanged::Refused);
    }
}

/// The answer to 1 was lost, and then that to its retry. Whoever got one of them goes on; a session has one good token.
async fn a_retry_is_answered_again<A: Directory>(accounts: A) {
    let session_id = signed_in(&accounts, 1).await;
    let rotated = Exchanged::Rotated { user_id: UserId(Uuid::from_u128(1)), session_id };
    let after = |ms: u64, presented, replacement| Exchange {
        now: NOW.plus_ms(ms),
        ..exchange(presented, replacement)
    };
    for retried in [
        after(0, 1, 2),
        after(RETRY_WITHIN_MS, 1, 3),
        after(RETRY_WITHIN_MS, 2, 4),
        after(RETRY_WITHIN_MS, 1, 5),
        after(RETRY_WITHIN_MS, 5, 6),
        after(2 * RETRY_WITHIN_MS, 5, 7),
        after(2 * RETRY_WITHIN_MS, 7, 8),
    ] {
        assert_eq!(accounts.exchange(retried).await.expect("answers"), rotated, "{retried:?}");
    }
    let superseded = accounts.exchange(after(2 * RETRY_WITHIN_MS, 6, 9)).await.expect("answers");
    assert!(matches!(superseded, Exchanged::Replayed { .. }), "what took its place was used");
}

async fn a_retry_that_comes_late_is_a_replay<A: Directory>(accounts: A) {
    let session_id = signed_in(&accounts, 1).await;
    accounts.exchange(exchange(1, 2)).await.expect("rotates");
    let late = Exchange { now: NOW.plus_ms(RETRY_WITHIN_MS + 1), ..exchange(1, 3) };
    let answer = accounts.exchange(late).await.expect("answers");
    assert_eq!(answer, Exchanged::Replayed { user_id: UserId(Uuid::from_u128(1)), session_id });
}

async fn expired_and_unknown_tokens_are_refused<A: Directory>(accounts: A) {
    let session_id = signed_in(&accounts, 1).await;
    let late = Exchange { now: LATER, ..exchange(1, 2) };
    assert_eq!(accounts.exchange(late).await.expect("answers"), Exchanged::Refused);
    assert_eq!(accounts.exchange(exchange(9, 2)).await.expect("answers"), Exchanged::Refused);
    assert_eq!(accounts.end_session([9; 32]).await.expect("answers"), None);
    assert!(is_open(&accounts, session_id).await, "a refusal ends nothing");
}

async fn one_racers_token_is_good<A: Directory>(accounts: A) {
    signed_in(&accounts, 255).await;
    let mut racers = JoinSet::new();
    for racer in 0..RACERS {
        let accounts = accounts.clone();
        racers.spawn(async move { accounts.exchange(exchange(255, racer)).await.expect("answers") });
    }
    let answers = racers.join_all().await;
    assert!(answers.iter().all(|answer| matches!(answer, Exchanged::Rotated { .. })), "{answers:?}");
    // The others' were superseded: once this one is used, and their time is over, they are copies.
    let mut good = 0;
    for racer in 0..RACERS {
        let late = Exchange { now: NOW.plus_ms(RETRY_WITHIN_MS + 1), ..exchange(racer, racer + RACERS) };
        good += usize::from(matches!(accounts.exchange(late).await, Ok(Exchanged::Rotated { .. })));
    }
    assert!(good <= 1, "of {RACERS} racers {good} hold a good token");
}

async fn a_session_ends_by_any_of_its_tokens<A: Directory>(accounts: A) {
    let session_id = signed_in(&accounts, 1).await;
    accounts.exchange(exchange(1, 2)).await.expect("rotates");
    let ended = accounts.end_session([1; 32]).await.expect("ends");
    assert_eq!(ended, Some((UserId(Uuid::from_u128(1)), session_id)));
    assert!(!is_open(&accounts, session_id).await);
    assert_eq!(accounts.exchange(exchange(2, 3)).await.expect("answers"), Exchanged::Refused);
}
