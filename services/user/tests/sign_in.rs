//! Registering, signing in, staying signed in, signing out.

mod support;

use std::time::{Duration, Instant};

use ringside_application::service::{Registration, ServiceError, UserService as _};
use ringside_ports::SignIn as _;
use ringside_types::limits::ACCESS_TOKEN_LIFE_S;
use ringside_types::{SessionId, UserId};
use support::{PASSWORD, TestContext, credentials, is_unauthorized, registered, registration};
use uuid::Uuid;

#[tokio::test]
async fn from_registration_to_logout() {
    let context = TestContext::new().await;
    let users = context.users();
    let made = registered(&users, "Ada").await;
    assert_eq!((made.user.username.as_str(), made.user.display_name.as_str()), ("Ada", "Ada"));
    assert_eq!((made.expires_in, made.user.id.0.get_version_num()), (ACCESS_TOKEN_LIFE_S, 7));
    let caller = users.verify(&made.access_token).await.expect("good");
    assert_eq!(caller.user_id, made.user.id);
    for login in ["ada", "ADA@example.org"] {
        let signed = users.login(credentials(login, PASSWORD)).await.expect("signs in");
        assert_eq!(signed.user, made.user);
        let other = users.verify(&signed.access_token).await.expect("good");
        assert_ne!(other.session_id, caller.session_id, "each device has its session");
    }
    let renewed = users.refresh(&made.refresh_token).await.expect("renews");
    assert_ne!(renewed.refresh_token, made.refresh_token);
    assert_eq!(users.verify(&renewed.access_token).await, Ok(caller));
    assert_eq!(context.revoked().await, []);
    users.logout(&renewed.refresh_token).await.expect("signs out");
    assert_eq!(context.revoked().await, [(made.user.id, caller.session_id)], "before logout is answered");
    for token in [&made.access_token, &renewed.access_token] {
        let ended = ServiceError::Unauthorized("This session has ended; sign in again.".into());
        assert_eq!(users.verify(token).await, Err(ended));
    }
    assert!(is_unauthorized(&users.refresh(&renewed.refresh_token).await));
    assert_eq!(users.users(&[made.user.id]).await.expect("answers"), [made.user]);
}

#[tokio::test]
async fn logging_out_of_nothing_is_no_error() {
    let context = TestContext::new().await;
    let users = context.users();
    for token in ["", "x", "AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA"] {
        assert_eq!(users.logout(token).await, Ok(()));
        assert!(is_unauthorized(&users.refresh(token).await));
        assert!(is_unauthorized(&users.verify(token).await));
    }
    assert_eq!(context.revoked().await, []);
}

#[tokio::test]
async fn a_wrong_password_and_an_unknown_user_are_answered_alike() {
    let context = TestContext::new().await;
    let users = context.users();
    registered(&users, "ada").await;
    let long = "x".repeat(100_000);
    let tries =
        [("ada", "wrong password"), ("nobody", PASSWORD), ("nobody@example.org", PASSWORD), ("ada", &long)];
    let mut quickest = [Duration::MAX; 4];
    let mut answers = Vec::new();
    for _ in 0..3 {
        for ((login, password), quickest) in tries.into_iter().zip(&mut quickest) {
            let start = Instant::now();
            answers.push(users.login(credentials(login, password)).await.expect_err("refused"));
            *quickest = start.elapsed().min(*quickest);
        }
    }
    assert!(matches!(answers[0], ServiceError::Unauthorized(_)));
    assert!(answers.iter().all(|answer| *answer == answers[0]), "{answers:?}");
    // A hash costs tens of milliseconds, all the rest less than one: who skips it is ten times as quick.
    let (least, most) = (quickest.iter().min().expect("four"), quickest.iter().max().expect("four"));
    assert!(*least * 4 > *most, "{quickest:?}");
}

#[tokio::test]
async fn what_another_account_has_is_taken() {
    let context = TestContext::new().await;
    let users = context.users();
    registered(&users, "ada").await;
    let check = async |email: &str, username: &str, expected: &str| {
        let wish = Registration { email: email.into(), username: username.into(), ..registration("ada") };
        let Err(ServiceError::Conflict { code, .. }) = users.register(wish).await else {
            panic!("{expected}")
        };
        assert_eq!(code.name(), expected);
    };
    check("ADA@example.org", "bob", "email_taken").await;
    check("bob@example.org", "aDa", "username_taken").await;
    check("ada@example.org", "ada", "email_taken").await;
    registered(&users, "bob").await;
}

#[tokio::test]
async fn fields_that_are_not_valid_are_named() {
    let context = TestContext::new().await;
    let users = context.users();
    let wish = Registration {
        email: "ada".into(),
        password: "short".into(),
        display_name: Some(" ".into()),
        ..registration("a b")
    };
    let Err(ServiceError::Invalid(fields)) = users.register(wish).await else { panic!("not refused") };
    let fields: Vec<_> = fields.iter().map(|field| &*field.field).collect();
    assert_eq!(fields, ["email", "username", "password", "display_name"]);
    let device = credentials("ada", PASSWORD);
    let device = ringside_application::service::Credentials { device: "x".repeat(101), ..device };
    assert!(matches!(users.login(device).await, Err(ServiceError::Invalid(_))));
}

#[tokio::test]
async fn passwords_are_kept_as_hashes() {
    let context = TestContext::new().await;
    registered(&context.users(), "ada").await;
    let (_, hash) = context.directory.user_by_login("ada").await.expect("looks").expect("is there");
    assert!(hash.starts_with("$argon2id$v=19$m=19456,t=2,p=1$"), "{hash}");
}

#[tokio::test]
async fn a_token_of_no_session_is_refused() {
    let context = TestContext::new().await;
    let users = context.users();
    let keys = context.keys.clone();
    let token = keys.issue(UserId(Uuid::from_u128(1)), SessionId(Uuid::from_u128(2)), support::now(), 60);
    let ended = ServiceError::Unauthorized("This session has ended; sign in again.".into());
    assert_eq!(users.verify(&token).await, Err(ended));
}
