//! Limits of registering and of failed logins; without their engine, requests go on.

mod support;

use ringside_application::open_limits::OpenLimits;
use ringside_application::service::people::SessionService as _;
use ringside_application::service::{Credentials, ServiceError, UserService as _};
use ringside_ports::presence::{Charge, Connection, JointDecision, RateDecision, Status, StatusChange};
use ringside_ports::{EngineError, Presence};
use ringside_types::{Epoch, Limits, Slot, UserId};
use support::{ADDRESS, PASSWORD, TestContext, credentials, is_unauthorized, registered, registration};
use tokio::task::JoinSet;

fn failures(login_failures_per_minute: u32) -> Limits {
    Limits { login_failures_per_minute, ..Limits::default() }
}

fn is_limited<T>(answer: &Result<T, ServiceError>) -> bool {
    matches!(answer, Err(ServiceError::RateLimited { retry_after_ms: 1.., .. }))
}

#[tokio::test]
async fn failures_are_limited_whether_the_account_exists_or_not() {
    let context = TestContext::new().await;
    let users = context.users_with(failures(2));
    registered(&users, "ada").await;
    for login in ["ada", "nobody"] {
        for spelling in [login.to_owned(), login.to_uppercase()] {
            assert!(is_unauthorized(&users.login(credentials(&spelling, "wrong password")).await));
        }
        for password in ["wrong password", PASSWORD] {
            assert!(
                is_limited(&users.login(credentials(login, password)).await),
                "{login}, the right one too"
            );
        }
    }
    // An account has one limit, however it is named; that it is reached does not tell that it is one account.
    let by_mail = users.login(credentials("ada@example.org", PASSWORD)).await;
    let nobodys = users.login(credentials("nobody@example.org", PASSWORD)).await;
    assert!(is_unauthorized(&by_mail), "{by_mail:?}");
    assert_eq!(by_mail.err(), nobodys.err());
}

fn from(address: u8, login: &str, password: &str) -> Credentials {
    Credentials { address: [198, 51, 100, address].into(), ..credentials(login, password) }
}

#[tokio::test]
async fn strangers_share_one_limit_and_lock_nobody_out() {
    let context = TestContext::new().await;
    let users = context.users_with(failures(2));
    registered(&users, "ada").await;
    for address in 1..=2 {
        assert!(is_unauthorized(&users.login(from(address, "ada", "wrong password")).await));
    }
    for address in 2..=3 {
        let spent = users.login(from(address, "ada", PASSWORD)).await;
        assert!(is_unauthorized(&spent), "the right one too, and it is not told: {spent:?}");
    }
    users.login(credentials("ada", PASSWORD)).await.expect("signs in where she did before");
}

#[tokio::test]
async fn what_is_typed_at_a_login_reaches_no_other_limit() {
    let context = TestContext::new().await;
    let users = context.users_with(failures(1));
    let made = registered(&users, "ada").await;
    let caller = users.verify(&made.access_token).await.expect("good");
    for text in [format!("the password of {}", made.user.id), made.user.id.to_string()] {
        assert!(is_unauthorized(&users.login(credentials(&text, "wrong password")).await));
        assert!(is_limited(&users.login(credentials(&text, "wrong password")).await));
    }
    assert!(is_unauthorized(&users.login(credentials("ada@example.org", "wrong password")).await));
    users.change_password(caller, ADDRESS, PASSWORD.into(), "another horse".into()).await.expect("changes");
}

#[tokio::test]
async fn successes_do_not_count() {
    let context = TestContext::new().await;
    let users = context.users_with(failures(2));
    registered(&users, "ada").await;
    assert!(is_unauthorized(&users.login(credentials("ada", "wrong password")).await));
    for _ in 0..4 {
        users.login(credentials("ada", PASSWORD)).await.expect("signs in");
    }
    assert!(is_unauthorized(&users.login(credentials("ada", "wrong password")).await));
    assert!(is_limited(&users.login(credentials("ada", PASSWORD)).await));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn guesses_at_once_are_limited_like_guesses_in_a_row() {
    let context = TestContext::new().await;
    let users = context.users_with(failures(3));
    registered(&users, "ada").await;
    let mut guesses = JoinSet::new();
    for guess in 0..30 {
        let users = users.clone();
        guesses.spawn(async move { users.login(credentials("ada", &format!("password {guess}"))).await });
    }
    let answers = guesses.join_all().await;
    assert_eq!(answers.iter().filter(|answer| is_unauthorized(answer)).count(), 3);
    assert_eq!(answers.iter().filter(|answer| is_limited(answer)).count(), 27);
}

#[tokio::test]
async fn registrations_are_limited_by_address() {
    let context = TestContext::new().await;
    let limits = Limits { register_per_minute_per_address: 1, register_burst: 2, ..Limits::default() };
    let users = context.users_with(limits);
    for username in ["ada", "bob"] {
        let mut invalid = registration(username);
        invalid.password = "short".into();
        assert!(matches!(users.register(invalid).await, Err(ServiceError::Invalid(_))), "costs nothing");
        registered(&users, username).await;
    }
    assert!(is_limited(&users.register(registration("eve")).await));
    let mut elsewhere = registration("eve");
    elsewhere.address = [192, 0, 2, 2].into();
    users.register(elsewhere).await.expect("another address has its own");
}

#[tokio::test]
async fn zero_is_no_limit() {
    let context = TestContext::new().await;
    let limits = Limits { register_per_minute_per_address: 0, register_burst: 0, ..failures(0) };
    let users = context.users_with(limits);
    registered(&users, "ada").await;
    registered(&users, "bob").await;
    for _ in 0..3 {
        assert!(is_unauthorized(&users.login(credentials("ada", "wrong password")).await));
    }
}

/// An engine that is gone.
#[derive(Clone)]
struct Gone;

fn gone<T>() -> Result<T, EngineError> {
    Err(EngineError::Unavailable { engine: "test", cause: "gone".into() })
}

impl Presence for Gone {
    async fn connect(&self, _: &[Connection], _: u32) -> Result<Vec<bool>, EngineError> {
        gone()
    }

    async fn disconnect(&self, _: &[Connection]) -> Result<Vec<StatusChange>, EngineError> {
        gone()
    }

    async fn set_status(&self, _: &[(Connection, Status)]) -> Result<Vec<StatusChange>, EngineError> {
        gone()
    }

    async fn statuses(&self, _: &[UserId]) -> Result<Vec<Status>, EngineError> {
        gone()
    }

    async fn end_leases(&self, _: Slot, _: Epoch) -> Result<Vec<UserId>, EngineError> {
        gone()
    }

    async fn charge(&self, _: &[Charge]) -> Result<Vec<RateDecision>, EngineError> {
        gone()
    }

    async fn charge_jointly(&self, _: &[Vec<Charge>]) -> Result<Vec<JointDecision>, EngineError> {
        gone()
    }

    async fn refund(&self, _: &[Charge]) -> Result<(), EngineError> {
        gone()
    }
}

#[tokio::test]
async fn without_their_engine_limits_suffer_and_requests_do_not() {
    let context = TestContext::new().await;
    let users = context.users_over(OpenLimits::new(Gone), context.log.clone(), failures(1));
    registered(&users, "ada").await;
    for _ in 0..2 {
        assert!(is_unauthorized(&users.login(credentials("ada", "wrong password")).await));
        users.login(credentials("ada", PASSWORD)).await.expect("signs in");
    }
}
