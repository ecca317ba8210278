//! Who is not in a channel: one that they may not see is not there for them, whatever they ask; of a public one they are told
//! that they are no member. Every row of the document that names a channel is tried.

mod support;

use serde_json::{Value, json};
use support::{Answer, Person, TestContext};
use uuid::Uuid;

const PREFIX: &str = "/api/v1";

/// Every row that names a channel: method, path, body.
fn rows(document: &Value) -> Vec<(String, String, Option<Value>)> {
    let mut rows = Vec::new();
    for (path, methods) in document["paths"].as_object().expect("paths") {
        let Some(path) = path.strip_prefix(PREFIX).filter(|path| path.starts_with("/channels/{channel_id}"))
        else {
            continue;
        };
        for (method, operation) in methods.as_object().expect("methods") {
            let example = &operation["requestBody"]["content"]["application/json"]["example"];
            let body = (!example.is_null()).then(|| example.clone());
            rows.push((method.to_uppercase(), path.to_owned(), body));
        }
    }
    rows
}

struct Channel {
    kind: &'static str,
    id: String,
    message: String,
}

async fn made(context: &TestContext, owner: &Person, member: &Person, kind: &'static str) -> Channel {
    let wish = json!({"type": kind, "name": "ring", "member_ids": [member.id]});
    let made = context.post("/channels", owner, wish).await;
    let id = made.body["id"].as_str().unwrap_or_else(|| panic!("{made:?}")).to_owned();
    let sent = context.post(&format!("/channels/{id}/messages"), owner, json!({"content": "hello"})).await;
    let message = sent.body["message_id"].as_str().unwrap_or_else(|| panic!("{sent:?}")).to_owned();
    Channel { kind, id, message }
}

/// What a stranger is told who asks for this row.
fn expected(kind: &str, method: &str, path: &str) -> (u16, Option<&'static str>) {
    match (kind, method, path) {
        ("public", "GET", "/channels/{channel_id}") => (200, None),
        ("public", ..) => (403, Some("not_a_member")),
        _ => (404, Some("not_found")),
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_stranger_learns_of_public_channels_alone() {
    let context = TestContext::new().await;
    let (ada, bob, eve) =
        (context.registered("ada").await, context.registered("bob").await, context.registered("eve").await);
    let rows = rows(&context.document("/openapi.json").await);
    assert!(rows.len() >= 20, "{rows:?}");
    let mut channels = Vec::new();
    for kind in ["dm", "group", "private", "public"] {
        channels.push(made(&context, &ada, &bob, kind).await);
    }
    let deleted = made(&context, &ada, &bob, "public").await;
    assert_eq!(context.delete(&format!("/channels/{}", deleted.id), &ada).await.status, 204);
    channels.push(Channel { kind: "deleted", ..deleted });
    channels.push(Channel { kind: "unknown", id: Uuid::now_v7().to_string(), message: "12".into() });
    channels.push(Channel { kind: "no id", id: "x".into(), message: "12".into() });
    let mut wrong = Vec::new();
    for channel in &channels {
        for (method, path, body) in &rows {
            // A member that is there, oneself, and one who is not there. One's own invitation is declined, whatever there is.
            let members = match path.as_str() {
                path if path.contains("/invitations/") => vec![&bob.id, &channel.id],
                path if path.contains("{user_id}") => vec![&bob.id, &eve.id, &channel.id],
                _ => vec![&bob.id],
            };
            for member in members {
                let asked = path
                    .replace("{channel_id}", &channel.id)
                    .replace("{message_id}", &channel.message)
                    .replace("{emoji}", "%F0%9F%91%8D")
                    .replace("{user_id}", member);
                let answer = context.ask(method, &asked, Some(&eve), body.clone()).await;
                let told = |answer: &Answer| (answer.status, answer.body["code"].as_str().map(str::to_owned));
                let (status, code) = expected(channel.kind, method, path);
                if told(&answer) != (status, code.map(str::to_owned)) {
                    wrong.push(format!(
                        "{}: {method} {path}: {} {}",
                        channel.kind, answer.status, answer.body
                    ));
                }
            }
        }
    }
    assert!(wrong.is_empty(), "{wrong:#?}");
}
