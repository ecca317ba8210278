//! Fields that are not the caller's to set: sent along everywhere, without any effect.

use hyper::Method;
use ringside_test_client::rest::{Account, Rest};
use serde_json::{Value, json};
use uuid::Uuid;

use super::{request, value};
use crate::test_server::{Failed, TestServer, expect};

/// What nobody may set by a body.
fn forbidden_fields(other: Uuid) -> Value {
    json!({
        "id": "01a20eb5-8eef-7290-9b05-602c8f4dc1af", "role": "owner", "roles": ["admin"], "is_admin": true,
        "admin": true, "creator_id": other, "owner_id": other, "user_id": other, "sender_id": other,
        "sender": { "id": other }, "actor_id": other, "email_verified": true, "password_hash": "x",
        "created_at": "2001-01-01T00:00:00.000Z", "updated_at": "2001-01-01T00:00:00.000Z", "deleted": true,
        "deleted_at": "2001-01-01T00:00:00.000Z", "seq": 99, "message_id": "7", "change": 99,
        "session_id": other, "edited_at": "2001-01-01T00:00:00.000Z",
    })
}

fn with(mut body: Value, more: &Value) -> Value {
    if let (Some(body), Some(more)) = (body.as_object_mut(), more.as_object()) {
        for (name, value) in more {
            body.entry(name.clone()).or_insert_with(|| value.clone());
        }
    }
    body
}

pub(crate) async fn what_is_not_theirs_has_no_effect(test_server: &TestServer) -> Result<(), Failed> {
    let server = test_server.start(&[("rest_per_minute", 0)]).await?;
    let rest = server.addresses.rest();
    // The first account administers; the one that tries is another.
    rest.sign_up("first").await?;
    let victim = rest.sign_up("victim").await?.account;
    let extra = forbidden_fields(victim.user_id);
    let body = json!({ "email": "m@example.org", "username": "mallory", "password": "a long password of m" });
    let made = request(&rest, Method::POST, "/auth/register", None, Some(with(body, &extra))).await?;
    let mallory = made.session("a registration", 201)?.account;
    expect(mallory.user_id != victim.user_id, || "an account was made under another's id".to_owned())?;
    let token = Some(mallory.access_token.as_str());
    let mut before = value(&request(&rest, Method::GET, "/users/me", token, None).await?);
    let mut patch = extra.clone();
    for (name, value) in [("email", json!("v@example.org")), ("username", json!("victim2"))] {
        patch[name] = value;
    }
    request(&rest, Method::PATCH, "/users/me", token, Some(patch)).await?;
    let after = value(&request(&rest, Method::GET, "/users/me", token, None).await?);
    // The server says itself when that was.
    expect(after["updated_at"].as_str() >= before["updated_at"].as_str(), || format!("{before}, {after}"))?;
    before["updated_at"] = after["updated_at"].clone();
    expect(before == after, || format!("a PATCH made {before} into {after}"))?;
    for path in ["/moderation/reports", "/admin/users"] {
        let answer = request(&rest, Method::GET, path, token, None).await?;
        expect(answer.status >= 400, || format!("{path} was answered {} to mallory", answer.status))?;
    }
    channels(&rest, &mallory, &victim, &extra).await
}

async fn channels(rest: &Rest, mallory: &Account, victim: &Account, extra: &Value) -> Result<(), Failed> {
    let token = Some(mallory.access_token.as_str());
    let body = json!({ "name": "x", "type": "group", "member_ids": [victim.user_id] });
    let made = value(&request(rest, Method::POST, "/channels", token, Some(with(body, extra))).await?);
    expect(made["creator_id"] == json!(mallory.user_id), || format!("the channel is {made}"))?;
    expect(made["id"] != extra["id"], || "the caller chose a channel's id".to_owned())?;
    let path = format!("/channels/{}/messages", made["id"].as_str().unwrap_or_default());
    let body = json!({ "content": "hello", "content_type": "text" });
    let sent = value(&request(rest, Method::POST, &path, token, Some(with(body, extra))).await?);
    expect(sent["sender"]["id"] == json!(mallory.user_id), || format!("the sender is {sent}"))?;
    expect(sent["seq"] == 1 && sent["message_id"] != "7", || format!("the message is {sent}"))?;
    expect(sent["edited_at"].is_null() && sent["deleted"] != true, || format!("the message is {sent}"))?;
    let message = format!("{path}/{}", sent["message_id"].as_str().unwrap_or_default());
    let patch = with(json!({ "content": "changed" }), extra);
    let edited = value(&request(rest, Method::PATCH, &message, token, Some(patch)).await?);
    expect(edited["sender"] == sent["sender"] && edited["seq"] == 1, || format!("edited: {edited}"))?;
    expect(edited["created_at"] == sent["created_at"] && edited["deleted"] != true, || {
        format!("edited: {edited}")
    })?;
    let channel = format!("/channels/{}", made["id"].as_str().unwrap_or_default());
    request(rest, Method::PATCH, &channel, token, Some(extra.clone())).await?;
    let now = value(&request(rest, Method::GET, &channel, token, None).await?);
    for name in ["id", "creator_id", "created_at", "type"] {
        expect(now[name] == made[name], || format!("a PATCH made {name} of {made} into {now}"))?;
    }
    // A member makes nobody an owner, least of all themselves.
    let theirs = Some(victim.access_token.as_str());
    let own = format!("{channel}/members/{}", victim.user_id);
    request(rest, Method::PATCH, &own, theirs, Some(json!({ "role": "owner" }))).await?;
    let members = value(&request(rest, Method::GET, &format!("{channel}/members"), theirs, None).await?);
    let role = |id: Uuid| {
        let mut items = members["items"].as_array().into_iter().flatten();
        items.find(|item| item["user_id"] == json!(id)).map(|item| item["role"].clone())
    };
    expect(role(victim.user_id) == Some(json!("member")), || format!("the members are {members}"))
}
