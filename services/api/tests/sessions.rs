//! Sessions are listed and ended by their user alone; a changed password ends the others.

mod support;

use serde_json::{Value, json};
use support::{PASSWORD, TestContext, person};
use tokio::task::JoinSet;

/// Requests for one thing at once.
const AT_ONCE: usize = 200;
/// Changes of one password at once; each takes two hashes.
const CHANGES_AT_ONCE: usize = 40;

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_session_is_seen_and_ended_by_its_user_alone() {
    let context = TestContext::new().await;
    let (ada, eve) = (context.registered("ada").await, context.registered("eve").await);
    let laptop = person(&context.login("ada", PASSWORD).await);
    let listed = context.get("/auth/sessions", &ada).await.body;
    let items = listed["items"].as_array().expect("a list").clone();
    let told: Vec<_> = items.iter().map(|one| (one["device"].clone(), one["current"].clone())).collect();
    assert_eq!(told, [(json!(""), json!(true)), (json!("laptop"), json!(false))]);
    let path = format!("/auth/sessions/{}", items[1]["id"].as_str().expect("an id"));
    assert_eq!(context.delete(&path, &eve).await.status, 404, "somebody else's");
    assert_eq!(context.delete("/auth/sessions/x", &ada).await.status, 404);
    assert_eq!(context.get("/users/me", &laptop).await.status, 200);
    for _ in 0..2 {
        assert_eq!(context.delete(&path, &ada).await.status, 204, "a retry is no error");
    }
    assert_eq!(context.get("/users/me", &laptop).await.status, 401);
    let body = json!({"refresh_token": laptop.refresh_token});
    assert_eq!(context.ask("POST", "/auth/refresh", None, Some(body)).await.status, 401);
    assert_eq!(context.get("/users/me", &ada).await.status, 200);
    assert_eq!(context.get("/auth/sessions", &ada).await.body["items"].as_array().map(Vec::len), Some(1));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn many_who_end_one_session_at_once_end_it() {
    let context = TestContext::new().await;
    let ada = context.registered("ada").await;
    let laptop = person(&context.login("ada", PASSWORD).await);
    let listed = context.get("/auth/sessions", &laptop).await.body;
    let other = listed["items"].as_array().expect("a list").iter().find(|one| one["current"] == true);
    let path = format!("/auth/sessions/{}", other.expect("itself")["id"].as_str().expect("an id"));
    let mut ending = JoinSet::new();
    for _ in 0..AT_ONCE {
        ending.spawn(context.asking("DELETE", path.clone(), &ada, None));
    }
    assert!(ending.join_all().await.iter().all(|answer| answer.status == 204));
    assert_eq!(context.get("/users/me", &laptop).await.status, 401);
}

async fn change(context: &TestContext, who: &support::Person, current: &str, new: &str) -> support::Answer {
    let body = json!({"current": current, "new": new});
    context.ask("PUT", "/users/me/password", Some(who), Some(body)).await
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_changed_password_ends_the_other_sessions() {
    let context = TestContext::new().await;
    let ada = context.registered("ada").await;
    let laptop = person(&context.login("ada", PASSWORD).await);
    let wrong = change(&context, &ada, "wrong password", "another horse").await;
    assert_eq!((wrong.status, &wrong.body["code"]), (403, &json!("forbidden")));
    let short = change(&context, &ada, PASSWORD, "short").await;
    assert_eq!((short.status, &short.body["errors"][0]["field"]), (422, &json!("new")));
    assert_eq!(context.get("/users/me", &laptop).await.status, 200, "a refusal ends nothing");
    let done = change(&context, &ada, PASSWORD, "another horse").await;
    assert_eq!((done.status, done.body), (204, Value::Null));
    assert_eq!(context.get("/users/me", &laptop).await.status, 401);
    assert_eq!(context.get("/users/me", &ada).await.status, 200);
    assert_eq!(context.login("ada", PASSWORD).await.status, 401);
    assert_eq!(context.login("ada", "another horse").await.status, 200);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_change_whose_answer_was_lost_can_be_asked_again() {
    let context = TestContext::new().await;
    let ada = context.registered("ada").await;
    for _ in 0..2 {
        assert_eq!(change(&context, &ada, PASSWORD, "another horse").await.status, 204);
    }
    assert_eq!(change(&context, &ada, PASSWORD, "a third horse").await.status, 403);
    assert_eq!(context.get("/users/me", &ada).await.status, 200);
    assert_eq!(context.login("ada", "another horse").await.status, 200);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn of_many_changes_at_once_one_wins() {
    let context = TestContext::new().await;
    let ada = context.registered("ada").await;
    let mut changing = JoinSet::new();
    for number in 0..CHANGES_AT_ONCE {
        let body = json!({"current": PASSWORD, "new": format!("another horse {number}")});
        let asking = context.asking("PUT", "/users/me/password".into(), &ada, Some(body));
        changing.spawn(async move { (number, asking.await.status) });
    }
    let answers = changing.join_all().await;
    let won: Vec<usize> =
        answers.iter().filter(|(_, status)| *status == 204).map(|(number, _)| *number).collect();
    assert_eq!(won.len(), 1, "{answers:?}");
    assert!(answers.iter().all(|(_, status)| matches!(status, 204 | 403)), "{answers:?}");
    assert_eq!(context.login("ada", &format!("another horse {}", won[0])).await.status, 200);
    assert_eq!(context.login("ada", PASSWORD).await.status, 401);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn guesses_of_the_current_password_are_limited() {
    let limits = ringside_types::Limits { login_failures_per_minute: 2, ..support::unlimited() };
    let context = TestContext::with(limits, ringside_user::RegistrationMode::Open).await;
    let ada = context.registered("ada").await;
    for _ in 0..2 {
        assert_eq!(change(&context, &ada, "wrong password", "another horse").await.status, 403);
    }
    assert_eq!(change(&context, &ada, PASSWORD, "another horse").await.status, 429, "the right one too");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_address_has_so_many_sign_ins_a_minute() {
    let limits = ringside_types::Limits { sign_ins_per_minute_per_address: 3, ..support::unlimited() };
    let context = TestContext::with(limits, ringside_user::RegistrationMode::Open).await;
    for path in ["/auth/refresh", "/auth/logout", "/auth/refresh"] {
        let answer = context.ask("POST", path, None, Some(json!({"refresh_token": "x"}))).await;
        assert_ne!(answer.status, 429, "{path}");
        assert_eq!(answer.headers["ratelimit-limit"], "3", "{path}");
        assert!(answer.headers.contains_key("ratelimit-remaining"), "{path}");
        assert!(answer.headers.contains_key("ratelimit-reset"), "{path}");
    }
    for path in ["/auth/refresh", "/auth/logout", "/auth/login"] {
        let answer = context.ask("POST", path, None, Some(json!({"refresh_token": "x"}))).await;
        assert_eq!(answer.status, 429, "{path}");
        assert!(answer.headers.contains_key("retry-after"), "{path}");
    }
}
