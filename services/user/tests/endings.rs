//! Whatever ends a session is in `control` before it is answered, and nothing outlives it.

mod support;

use ringside_application::service::UserService as _;
use ringside_application::service::people::{ProfileService as _, SessionService as _};
use ringside_application::service::{PageRequest, ServiceError};
use ringside_types::{Limits, SessionId};
use support::{ADDRESS, PASSWORD, TestContext, credentials, is_unauthorized, registered};
use tokio::task::JoinSet;
use uuid::Uuid;

/// Logins with the old password beside its change.
const LOGINS: usize = 12;

#[tokio::test]
async fn a_revoked_session_is_told_before_it_is_answered() {
    let context = TestContext::new().await;
    let users = context.users();
    let (ada, eve) = (registered(&users, "ada").await, registered(&users, "eve").await);
    let [ada, eve] = [users.verify(&ada.access_token).await, users.verify(&eve.access_token).await];
    let (ada, eve) = (ada.expect("good"), eve.expect("good"));
    let foreign = users.end_session(ada.user_id, eve.session_id).await;
    assert!(matches!(foreign, Err(ServiceError::NotFound(_))), "{foreign:?}");
    assert_eq!(context.revoked().await, [], "somebody else's");
    users.end_session(ada.user_id, ada.session_id).await.expect("ends");
    assert_eq!(context.revoked().await, [(ada.user_id, ada.session_id)]);
    let part = PageRequest { cursor: None, limit: 10 };
    assert_eq!(users.sessions(ada.user_id, false, part).await.expect("lists").items, []);
}

#[tokio::test]
async fn a_changed_password_tells_of_all_others() {
    let context = TestContext::new().await;
    let users = context.users();
    let made = registered(&users, "ada").await;
    let caller = users.verify(&made.access_token).await.expect("good");
    let mut others = Vec::new();
    for _ in 0..3 {
        let other = users.login(credentials("ada", PASSWORD)).await.expect("signs in");
        others.push((caller.user_id, users.verify(&other.access_token).await.expect("good").session_id));
    }
    users.change_password(caller, ADDRESS, PASSWORD.into(), "another horse".into()).await.expect("changes");
    let mut told = context.revoked().await;
    told.sort_unstable();
    assert_eq!(told, others, "and not of the one that goes on");
    assert_eq!(users.verify(&made.access_token).await, Ok(caller));
}

#[tokio::test]
async fn an_erasure_tells_of_every_session() {
    let context = TestContext::new().await;
    let users = context.users();
    let made = registered(&users, "ada").await;
    users.erase(made.user.id).await.expect("erases");
    assert_eq!(context.revoked().await, [(made.user.id, SessionId(Uuid::nil()))]);
    assert!(is_unauthorized(&users.verify(&made.access_token).await));
    assert!(is_unauthorized(&users.refresh(&made.refresh_token).await));
    assert!(is_unauthorized(&users.login(credentials("ada", PASSWORD)).await));
    assert!(is_unauthorized(&users.own(made.user.id).await));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn no_login_with_the_old_password_outlives_its_change() {
    let context = TestContext::new().await;
    let users = context.users_with(Limits { login_failures_per_minute: 0, ..Limits::default() });
    let made = registered(&users, "ada").await;
    let caller = users.verify(&made.access_token).await.expect("good");
    let mut logins = JoinSet::new();
    for _ in 0..LOGINS {
        let users = users.clone();
        logins.spawn(async move { users.login(credentials("ada", PASSWORD)).await });
    }
    users.change_password(caller, ADDRESS, PASSWORD.into(), "another horse".into()).await.expect("changes");
    for signed in logins.join_all().await {
        match signed {
            Ok(signed) => assert!(is_unauthorized(&users.verify(&signed.access_token).await)),
            Err(error) => assert!(matches!(error, ServiceError::Unauthorized(_)), "{error:?}"),
        }
    }
    assert_eq!(users.verify(&made.access_token).await, Ok(caller));
}
