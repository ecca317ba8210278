//! Who may register: everyone, the invited, nobody; and the first one administers.

mod support;

use ringside_user::RegistrationMode;
use serde_json::json;
use support::{TestContext, person, registration, unlimited};
use tokio::task::JoinSet;

const DAY_MS: u64 = 24 * 60 * 60 * 1_000;

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn of_many_first_accounts_one_administers() {
    let context = TestContext::new().await;
    let nobody = support::Person { id: String::new(), token: String::new(), refresh_token: String::new() };
    let mut registering = JoinSet::new();
    for number in 0..20 {
        let body = registration(&format!("user{number}"));
        registering.spawn(context.asking("POST", "/auth/register".into(), &nobody, Some(body)));
    }
    let mut admins = 0;
    for answer in registering.join_all().await {
        assert_eq!(answer.status, 201, "{answer:?}");
        let role = context.get("/users/me", &person(&answer)).await.body["role"].clone();
        admins += usize::from(role == "admin");
    }
    assert_eq!(admins, 1);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_invitation_lets_one_register() {
    let context = TestContext::with(unlimited(), RegistrationMode::Invitation).await;
    let code = context.people.invite(DAY_MS).await.expect("invites");
    let expired = context.people.invite(0).await.expect("invites");
    let with = |username: &str, code: &str| {
        let mut body = registration(username);
        body["invitation"] = json!(code);
        body
    };
    for body in [registration("ada"), with("ada", "x"), with("ada", &expired)] {
        let refused = context.register(body.clone()).await;
        assert_eq!((refused.status, &refused.body["code"]), (403, &json!("forbidden")), "{body}");
    }
    assert_eq!(context.register(with("ada", &code)).await.status, 201);
    assert_eq!(context.register(with("bob", &code)).await.status, 403, "it is used up");
    let mut stranger = with("ada", &code);
    stranger["password"] = json!("another horse");
    assert_eq!(context.register(stranger).await.status, 403, "nobody learns of names without a good one");
    let again = context.register(with("ada", &code)).await;
    assert_eq!(again.status, 201, "the answer was lost, and the same person asks again");
    assert_eq!(context.get("/users/me", &person(&again)).await.body["username"], "ada");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn where_it_is_closed_the_operator_makes_accounts() {
    let context = TestContext::with(unlimited(), RegistrationMode::Closed).await;
    assert_eq!(context.register(registration("ada")).await.status, 403);
    let (user, password) = context.people.create("ada", "ada@example.org").await.expect("creates");
    let signed = context.login("ada", &password).await;
    assert_eq!((signed.status, person(&signed).id), (200, user.id.to_string()));
    let reset = context.people.reset_password(user.id).await.expect("resets");
    assert_eq!(context.get("/users/me", &person(&signed)).await.status, 401, "its sessions end");
    assert_eq!(
        (context.login("ada", &password).await.status, context.login("ada", &reset).await.status),
        (401, 200)
    );
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_field_that_is_missing_or_mistyped_is_named() {
    let context = TestContext::new().await;
    let check = async |field: &str, value: Option<serde_json::Value>| {
        let mut body = registration("ada");
        match value {
            Some(value) => body[field] = value,
            None => drop(body.as_object_mut().expect("an object").remove(field)),
        }
        let refused = context.register(body.clone()).await;
        assert_eq!((refused.status, &refused.body["code"]), (422, &json!("invalid")), "{body}");
        let errors = refused.body["errors"].as_array().expect("errors");
        assert_eq!(errors.len(), 1, "{errors:?}");
        assert_eq!(errors[0]["field"], field, "{errors:?}");
        assert!(errors[0]["message"].as_str().is_some_and(|words| !words.is_empty()));
    };
    check("email", None).await;
    check("username", Some("".into())).await;
    check("password", None).await;
    check("password", Some(json!(7))).await;
    check("username", Some(json!(["ada"]))).await;
    check("display_name", Some(json!({}))).await;
    assert_eq!(context.register(registration("ada")).await.status, 201);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn one_answer_names_all_that_is_missing_or_wrong() {
    let context = TestContext::new().await;
    let check = async |body: serde_json::Value, expected: &[&str]| {
        let refused = context.register(body.clone()).await;
        assert_eq!((refused.status, &refused.body["code"]), (422, &json!("invalid")), "{body}");
        let errors = refused.body["errors"].as_array().expect("errors");
        let mut named: Vec<&str> = errors.iter().filter_map(|error| error["field"].as_str()).collect();
        named.sort_unstable();
        assert_eq!(named, expected, "{errors:?}");
        for error in errors {
            let message = error["message"].as_str().expect("text");
            assert!(message.starts_with(|first: char| first.is_uppercase() || first == '`'), "{message}");
            assert!(message.ends_with('.'), "{message}");
        }
    };
    check(json!({}), &["email", "password", "username"]).await;
    check(json!({"username": "q"}), &["email", "password", "username"]).await;
    check(json!({"username": "ada", "display_name": ""}), &["display_name", "email", "password"]).await;
    check(json!({"email": 7, "username": "q", "password": "short"}), &["email", "password", "username"])
        .await;
    check(json!({"email": "", "username": "", "password": ""}), &["email", "password", "username"]).await;
}
