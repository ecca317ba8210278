//! What requests are held to: each refusal is a problem with a sentence, and tells of the limit that it comes from.

mod support;

use axum::body::{Body, Bytes};
use axum::http::Request;
use http_body_util::BodyExt as _;
use ringside_types::Limits;
use ringside_user::RegistrationMode;
use serde_json::{Value, json};
use support::{Answer, Person, TestContext, unlimited};
use tower::ServiceExt as _;

/// A context whose limits are out of the way.
async fn context() -> TestContext {
    let limits = Limits { messages_per_second: 0, channel_messages_per_minute: 0, ..unlimited() };
    TestContext::with(limits, RegistrationMode::Open).await
}

async fn group(context: &TestContext, who: &Person) -> String {
    let made = context.post("/channels", who, json!({"type": "group", "name": "ring"})).await;
    made.body["id"].as_str().unwrap_or_else(|| panic!("{made:?}")).to_owned()
}

async fn sent(context: &TestContext, who: &Person, channel: &str) -> String {
    let path = format!("/channels/{channel}/messages");
    let sent = context.post(&path, who, json!({"content": "hello"})).await;
    sent.body["message_id"].as_str().unwrap_or_else(|| panic!("{sent:?}")).to_owned()
}

fn is_problem(answer: &Answer, status: u16, code: &str) {
    assert_eq!((answer.status, &answer.body["code"]), (status, &json!(code)), "{answer:?}");
    assert_eq!(answer.headers["content-type"], "application/problem+json");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn paths_and_cursors_that_make_no_sense_are_bad_requests() {
    let context = context().await;
    let ada = context.registered("ada").await;
    let channel = group(&context, &ada).await;
    let message = sent(&context, &ada, &channel).await;
    is_problem(&context.get("/channels/%ff", &ada).await, 400, "bad_request");
    is_problem(&context.get("/users/%ff", &ada).await, 400, "bad_request");
    let thread = format!("/channels/{channel}/messages/{message}/thread");
    is_problem(&context.get(&format!("{thread}?cursor=nonsense"), &ada).await, 400, "bad_request");
    is_problem(
        &context.get(&format!("/channels/{channel}/pins?cursor=nonsense"), &ada).await,
        400,
        "bad_request",
    );
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_body_that_breaks_off_is_not_too_large() {
    let context = context().await;
    let chunks = [Ok(Bytes::from("{")), Err(std::io::Error::other("no chunk"))];
    for (body, status) in [
        (Body::from_stream(futures_util::stream::iter(chunks)), 400),
        (Body::from(vec![b' '; 600 * 1024]), 413),
    ] {
        let request = Request::post("/api/v1/auth/login").header("content-type", "application/json");
        let answer = context.router.clone().oneshot(request.body(body).expect("a request")).await;
        assert_eq!(answer.expect("answers").status(), status);
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_channels_pins_come_in_pages_and_are_bounded() {
    let context = context().await;
    let ada = context.registered("ada").await;
    let channel = group(&context, &ada).await;
    let pins = format!("/channels/{channel}/pins");
    let mut pinned = Vec::new();
    for number in 0..=100 {
        let message = sent(&context, &ada, &channel).await;
        let answer = context.put(&format!("{pins}/{message}"), &ada).await;
        if number == 100 {
            is_problem(&answer, 422, "invalid");
        } else {
            assert_eq!(answer.status, 204, "{answer:?}");
            pinned.push(message);
        }
    }
    pinned.reverse();
    let (mut found, mut path) = (Vec::new(), format!("{pins}?limit=40"));
    loop {
        let page = context.get(&path, &ada).await.body;
        let items = page["items"].as_array().unwrap_or_else(|| panic!("{page}"));
        assert!(items.len() <= 40, "{}", items.len());
        found.extend(items.iter().map(|item| item["message_id"].as_str().expect("an id").to_owned()));
        let Some(next) = page["next_cursor"].as_str() else { break };
        path = format!("{pins}?limit=40&cursor={next}");
    }
    assert_eq!(found, pinned, "the latest first, each once");
    is_problem(&context.get(&format!("{pins}?limit=101"), &ada).await, 400, "bad_request");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_message_takes_so_many_different_reactions() {
    let context = context().await;
    let ada = context.registered("ada").await;
    let channel = group(&context, &ada).await;
    let message = sent(&context, &ada, &channel).await;
    let reactions = format!("/channels/{channel}/messages/{message}/reactions");
    for number in 0..50 {
        assert_eq!(context.put(&format!("{reactions}/e{number}"), &ada).await.status, 204);
    }
    is_problem(&context.put(&format!("{reactions}/e50"), &ada).await, 422, "invalid");
    assert_eq!(context.put(&format!("{reactions}/e49"), &ada).await.status, 204, "it is there");
    assert_eq!(context.delete(&format!("{reactions}/e0"), &ada).await.status, 204);
    assert_eq!(context.put(&format!("{reactions}/e50"), &ada).await.status, 204, "one has made room");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_export_takes_one_place_of_its_user() {
    let context = context().await;
    let (ada, bob) = (context.registered("ada").await, context.registered("bob").await);
    let request =
        Request::get("/api/v1/users/me/export").header("authorization", format!("Bearer {}", ada.token));
    let unread = context.router.clone().oneshot(request.body(Body::empty()).expect("a request")).await;
    let unread = unread.expect("answers");
    assert_eq!(unread.status(), 200);
    is_problem(&context.get("/users/me/export", &ada).await, 429, "rate_limited");
    assert_eq!(context.get("/users/me/export", &bob).await.status, 200, "another's goes on");
    let whole = unread.into_body().collect().await.expect("a whole body").to_bytes();
    assert!(serde_json::from_slice::<Value>(&whole).is_ok());
    assert_eq!(context.get("/users/me/export", &ada).await.status, 200);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_refusal_tells_of_the_limit_that_it_comes_from() {
    let limits = Limits { messages_per_second: 1, messages_burst: 1, rest_per_minute: 1000, ..unlimited() };
    let context = TestContext::with(limits, RegistrationMode::Open).await;
    let (ada, bob) = (context.registered("ada").await, context.registered("bob").await);
    let channel = group(&context, &ada).await;
    let path = format!("/channels/{channel}/messages");
    let mut answers = Vec::new();
    for _ in 0..3 {
        answers.push(context.post(&path, &ada, json!({"content": "hello"})).await);
    }
    let refused = answers.iter().find(|answer| answer.status == 429).expect("a limit of one a second");
    let figure = |answer: &Answer, name: &str| answer.headers[name].to_str().expect("text").to_owned();
    assert_eq!(
        (figure(refused, "ratelimit-limit"), figure(refused, "ratelimit-remaining")),
        ("60".into(), "0".into())
    );
    let members = format!("/channels/{channel}/members");
    assert_eq!(context.post(&members, &ada, json!({"user_ids": [bob.id]})).await.status, 201);
    let slow = json!({"settings": {"slow_mode_s": 30}});
    assert_eq!(
        context.ask("PATCH", &format!("/channels/{channel}"), Some(&ada), Some(slow)).await.status,
        200
    );
    assert!(context.post(&path, &bob, json!({"content": "hello"})).await.status < 300);
    let refused = context.post(&path, &bob, json!({"content": "hello"})).await;
    is_problem(&refused, 429, "rate_limited");
    assert_eq!(figure(&refused, "ratelimit-limit"), "2", "one in thirty seconds");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn channels_with_others_in_them_have_a_budget() {
    let context = TestContext::with(
        Limits { channels_per_minute: 3, rest_per_minute: 1_000, ..unlimited() },
        RegistrationMode::Open,
    )
    .await;
    let (ada, bob) = (context.registered("ada").await, context.registered("bob").await);
    let make = async |who: &Person, members: Vec<String>| {
        context.post("/channels", who, json!({"type": "group", "member_ids": members})).await
    };
    for _ in 0..5 {
        assert_eq!(make(&ada, vec![ada.id.clone()]).await.status, 201, "one's own costs nothing");
    }
    let strangers = (0..100).map(|number| format!("00000000-0000-0000-0000-{number:012}")).collect();
    assert_eq!(make(&bob, strangers).await.status, 422, "costs three");
    let spent = make(&bob, vec![ada.id.clone()]).await;
    is_problem(&spent, 429, "rate_limited");
    assert_eq!(spent.headers["ratelimit-limit"], "3");
    assert!(spent.headers.contains_key("retry-after"));
    for _ in 0..3 {
        assert_eq!(make(&ada, vec![bob.id.clone()]).await.status, 201, "another's budget is another");
    }
    let refused = make(&ada, vec![bob.id.clone()]).await;
    is_problem(&refused, 429, "rate_limited");
    let members = format!("/channels/{}/members", group(&context, &ada).await);
    let added = context.post(&members, &ada, json!({"user_ids": [bob.id]})).await;
    is_problem(&added, 429, "rate_limited");
}
