//! Channels, changed: members are told, with the number of the change; what a channel holds its senders to is in force
//! once it is answered; who is removed, or whose channel goes, is told too.

use hyper::Method;
use ringside_test_client::rest::{Account, Rest};
use ringside_test_client::server::ServerProcess;
use ringside_test_client::websocket::Incoming;
use serde_json::{Value, json};
use uuid::Uuid;

use crate::test_server::{Client, Failed, TestServer, await_frame, expect, message, register};

/// An owner, a member and an outsider, the first two connected and in one channel.
struct TestContext {
    _server: ServerProcess,
    rest: Rest,
    accounts: Vec<Account>,
    owner: Client,
    member: Client,
    channel: Uuid,
}

async fn set_up(test_server: &TestServer, kind: &str) -> Result<TestContext, Failed> {
    let server = test_server.start(&[("rest_per_minute", 0)]).await?;
    let accounts = register(&server, 3).await?;
    let rest = server.addresses.rest();
    let members = [accounts[1].user_id];
    let channel = rest.create_channel(&accounts[0].access_token, kind, "all", &members).await?;
    let target = server.addresses.target();
    let owner = Client::open(&target, &accounts[0]).await?;
    let member = Client::open(&target, &accounts[1]).await?;
    Ok(TestContext { _server: server, rest, accounts, owner, member, channel })
}

impl TestContext {
    async fn send_frame(
        &self,
        method: Method,
        path: &str,
        by: usize,
        body: Option<Value>,
        status: u16,
    ) -> Result<Value, Failed> {
        let what = format!("{method} {path} by {by}");
        let token = &self.accounts[by].access_token;
        let answer = self.rest.call(method, &format!("/api/v1{path}"), Some(token), body.as_ref()).await?;
        expect(answer.status == status, || {
            format!("{what} was answered {}: {}", answer.status, String::from_utf8_lossy(&answer.body))
        })?;
        Ok(serde_json::from_slice(&answer.body).unwrap_or(Value::Null))
    }

    fn at(&self, rest: &str) -> String {
        format!("/channels/{}{rest}", self.channel)
    }
}

/// Sends a message, and says what came of it: `None`: it was acknowledged.
async fn refusal(client: &mut Client, channel: Uuid) -> Result<Option<Value>, Failed> {
    refusal_of(client, channel, Uuid::new_v4()).await
}

/// The same of a message with this id.
async fn refusal_of(client: &mut Client, channel: Uuid, id: Uuid) -> Result<Option<Value>, Failed> {
    client.socket.send(&message(id, channel, "hello")).await?;
    answer_to(client, id).await
}

/// Asks for something, and says what came of it likewise.
async fn answer(client: &mut Client, kind: &str, payload: Value) -> Result<Option<Value>, Failed> {
    let id = Uuid::new_v4();
    let frame = json!({"type": kind, "id": id, "payload": payload}).to_string();
    client.socket.send(&frame).await?;
    answer_to(client, id).await
}

async fn answer_to(client: &mut Client, id: Uuid) -> Result<Option<Value>, Failed> {
    loop {
        let Incoming::Text(text) = client.incoming().await? else {
            return Err(Failed("closed".into()));
        };
        let frame: Value = serde_json::from_slice(&text)?;
        if frame["id"] == json!(id) {
            let refused = (frame["type"] == "error").then(|| frame["payload"].clone());
            return Ok(refused);
        }
    }
}

pub(crate) async fn settings_are_told_and_in_force(test_server: &TestServer) -> Result<(), Failed> {
    let mut context = set_up(test_server, "private").await?;
    let path = context.at("");
    let patch = json!({"name": "new", "topic": "tea", "type": "public", "id": Uuid::nil(), "creator_id": Uuid::nil(),
        "settings": {"who_may_post": "admins", "history_for_joiners": "from_join"}});
    let changed = context.send_frame(Method::PATCH, &path, 0, Some(patch.clone()), 200).await?;
    let is_kept = changed["type"] == "private" && changed["id"] == json!(context.channel);
    expect(is_kept && changed["creator_id"] == json!(context.accounts[0].user_id), || format!("{changed}"))?;
    let told_of = await_frame(&mut context.member, "channel.updated").await?;
    let is_told =
        told_of["topic"] == "tea" && told_of["change"] == 2 && told_of["settings"] == changed["settings"];
    expect(is_told && told_of["actor_id"] == json!(context.accounts[0].user_id), || format!("{told_of}"))?;
    context.send_frame(Method::PATCH, &path, 1, Some(patch.clone()), 403).await?;
    context.send_frame(Method::PATCH, &path, 2, Some(patch), 404).await?;
    let refused = refusal(&mut context.member, context.channel).await?;
    expect(refused.as_ref().is_some_and(|one| one["code"] == "forbidden"), || format!("{refused:?}"))?;
    let posts = context.at("/messages");
    let hello = json!({"content": "hello", "content_type": "text"});
    context.send_frame(Method::POST, &posts, 1, Some(hello.clone()), 403).await?;
    let refused = refusal(&mut context.owner, context.channel).await?;
    expect(refused.is_none(), || format!("the owner was refused: {refused:?}"))?;
    // Who joins now sees nothing of it.
    let ids = json!({"user_ids": [context.accounts[2].user_id]});
    context.send_frame(Method::POST, &context.at("/members"), 0, Some(ids), 201).await?;
    let hidden = context.send_frame(Method::GET, &posts, 2, None, 200).await?;
    expect(hidden["items"] == json!([]), || format!("a joiner sees {hidden}"))?;
    let slow = json!({"settings": {"who_may_post": "everyone", "slow_mode_s": 600}});
    context.send_frame(Method::PATCH, &path, 0, Some(slow), 200).await?;
    await_frame(&mut context.member, "channel.updated").await?;
    let id = Uuid::new_v4();
    let refused = refusal_of(&mut context.member, context.channel, id).await?;
    expect(refused.is_none(), || format!("the first was refused: {refused:?}"))?;
    await_frame(&mut context.member, "message.new").await?;
    let refused = refusal_of(&mut context.member, context.channel, id).await?;
    expect(refused.is_none(), || format!("its repetition was refused: {refused:?}"))?;
    let refused = refusal(&mut context.member, context.channel).await?.unwrap_or_default();
    let waits = refused["retry_after_ms"].as_u64().is_some_and(|ms| (500_000..=600_000).contains(&ms));
    expect(refused["code"] == "rate_limited" && waits, || format!("slow mode says {refused}"))?;
    context.send_frame(Method::POST, &posts, 1, Some(hello), 429).await?;
    for _ in 0..3 {
        let refused = refusal(&mut context.owner, context.channel).await?;
        expect(refused.is_none(), || format!("the owner waits: {refused:?}"))?;
    }
    for bad in [
        json!({"settings": {"slow_mode_s": 1_000_000}}),
        json!({"settings": {"who_may_post": "x"}}),
        json!({"settings": {"retention_days": 3}}),
        json!({"name": ""}),
    ] {
        context.send_frame(Method::PATCH, &path, 0, Some(bad), 422).await?;
    }
    Ok(())
}

pub(crate) async fn roles_removals_and_the_end_are_told(test_server: &TestServer) -> Result<(), Failed> {
    let mut context = set_up(test_server, "public").await?;
    let other = context.accounts[1].user_id;
    let of_other = context.at(&format!("/members/{other}"));
    let of_owner = context.at(&format!("/members/{}", context.accounts[0].user_id));
    context.send_frame(Method::DELETE, &of_owner, 0, None, 409).await?;
    context.send_frame(Method::PATCH, &of_other, 0, Some(json!({"role": "owner"})), 200).await?;
    let mut roles = Vec::new();
    for _ in 0..2 {
        let frame = await_frame(&mut context.owner, "channel.member_updated").await?;
        expect(frame["change"] == 2, || format!("{frame}"))?;
        roles.push((frame["user_id"].clone(), frame["role"].clone()));
    }
    let passed = [(json!(other), json!("owner")), (json!(context.accounts[0].user_id), json!("admin"))];
    expect(roles == passed, || format!("the ownership passed as {roles:?}"))?;
    context.send_frame(Method::DELETE, &context.at(""), 0, None, 403).await?;
    context.send_frame(Method::DELETE, &of_owner, 1, None, 204).await?;
    for client in [&mut context.owner, &mut context.member] {
        let frame = await_frame(client, "channel.member_removed").await?;
        expect(frame["change"] == 3, || format!("{frame}"))?;
    }
    let found = context.send_frame(Method::GET, "/channels/discover?q=AL", 0, None, 200).await?;
    expect(
        found["items"][0]["id"] == json!(context.channel) && found["items"][0]["member_count"] == 1,
        || format!("discover says {found}"),
    )?;
    let me = json!({"user_ids": [context.accounts[0].user_id]});
    context.send_frame(Method::POST, &context.at("/members"), 0, Some(me), 201).await?;
    await_frame(&mut context.owner, "channel.member_added").await?;
    let mute = context.at("/mute");
    context.send_frame(Method::PUT, &mute, 0, Some(json!({"until": null})), 204).await?;
    let muted = context.send_frame(Method::GET, &context.at(""), 0, None, 200).await?;
    expect(muted["muted"] == true && muted["muted_until"].is_null(), || format!("{muted}"))?;
    context.send_frame(Method::PUT, &mute, 0, Some(json!({"until": "2999-01-01T00:00:00Z"})), 204).await?;
    let muted = context.send_frame(Method::GET, &context.at(""), 0, None, 200).await?;
    expect(muted["muted_until"] == "2999-01-01T00:00:00.000Z", || format!("{muted}"))?;
    context.send_frame(Method::DELETE, &mute, 0, None, 204).await?;
    let muted = context.send_frame(Method::GET, &context.at(""), 0, None, 200).await?;
    expect(muted["muted"] == false, || format!("{muted}"))?;
    context.send_frame(Method::DELETE, &context.at(""), 1, None, 204).await?;
    for client in [&mut context.owner, &mut context.member] {
        let frame = await_frame(client, "channel.deleted").await?;
        expect(frame["change"] == 5 && frame["id"] == json!(context.channel), || format!("{frame}"))?;
        let refused = refusal(client, context.channel).await?.unwrap_or_default();
        expect(refused["code"] == "not_a_member", || format!("a message to it is answered {refused}"))?;
    }
    for (method, rest, status) in [
        (Method::GET, "", 404),
        (Method::DELETE, "", 404),
        (Method::GET, "/members", 404),
        (Method::GET, "/messages", 404),
    ] {
        context.send_frame(method, &context.at(rest), 1, None, status).await?;
    }
    Ok(())
}

pub(crate) async fn a_block_closes_the_dm_and_its_end_opens_it(
    test_server: &TestServer,
) -> Result<(), Failed> {
    let mut context = set_up(test_server, "dm").await?;
    let block = format!("/users/me/blocks/{}", context.accounts[1].user_id);
    let hello = json!({"content": "hello", "content_type": "text"});
    let sent =
        context.send_frame(Method::POST, &context.at("/messages"), 1, Some(hello.clone()), 201).await?;
    let id = sent["message_id"].as_str().unwrap_or_default();
    let (of_message, pin) = (context.at(&format!("/messages/{id}")), context.at(&format!("/pins/{id}")));
    let reaction = format!("{of_message}/reactions/yes");
    for is_blocked in [false, true, false] {
        if is_blocked {
            context.send_frame(Method::PUT, &block, 0, None, 204).await?;
        } else {
            context.send_frame(Method::DELETE, &block, 0, None, 204).await?;
        }
        let status = if is_blocked { 403 } else { 201 };
        context.send_frame(Method::POST, &context.at("/messages"), 1, Some(hello.clone()), status).await?;
        let (changed, made) = if is_blocked { (403, 403) } else { (200, 204) };
        context
            .send_frame(Method::PATCH, &of_message, 1, Some(json!({"content": "hello!"})), changed)
            .await?;
        for by in [0, 1] {
            context.send_frame(Method::PUT, &reaction, by, None, made).await?;
            context.send_frame(Method::PUT, &pin, by, None, made).await?;
            context.send_frame(Method::DELETE, &reaction, by, None, 204).await?;
            context.send_frame(Method::DELETE, &pin, by, None, 204).await?;
        }
        let edit = json!({"channel_id": context.channel, "message_id": id, "content": "hello?"});
        let refused = answer(&mut context.member, "message.edit", edit).await?;
        expect(refused.is_some() == is_blocked, || format!("blocked: {is_blocked}, edited: {refused:?}"))?;
        if is_blocked {
            let typing = json!({"channel_id": context.channel});
            let refused = answer(&mut context.member, "typing.start", typing).await?.unwrap_or_default();
            expect(refused["code"] == "forbidden", || format!("typing is answered {refused}"))?;
        }
        for client in [&mut context.owner, &mut context.member] {
            let refused = refusal(client, context.channel).await?;
            let is_as_it_should = match &refused {
                Some(refused) => is_blocked && refused["code"] == "forbidden",
                None => !is_blocked,
            };
            expect(is_as_it_should, || format!("blocked: {is_blocked}, and it came to {refused:?}"))?;
        }
    }
    context.send_frame(Method::PUT, &block, 0, None, 204).await?;
    context.send_frame(Method::DELETE, &of_message, 1, None, 204).await?;
    let seen = context.send_frame(Method::GET, &context.at(""), 1, None, 200).await?;
    expect(seen["settings"].get("closed").is_none(), || format!("a block shows: {seen}"))
}
