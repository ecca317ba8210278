//! Presence: what watchers are told, what is hidden, and what survives.

use std::time::Duration;

use hyper::Method;
use ringside_test_client::rest::{Account, Rest};
use ringside_test_client::server::ServerProcess;
use serde_json::{Value, json};
use uuid::Uuid;

use crate::test_server::{Client, Failed, TestServer, await_frame, call, expect, register, send_frame};

struct TestContext {
    server: ServerProcess,
    rest: Rest,
    accounts: Vec<Account>,
}

async fn set_up(test_server: &TestServer) -> Result<TestContext, Failed> {
    let server = test_server.start(&[]).await?;
    let accounts = register(&server, 3).await?;
    let rest = server.addresses.rest();
    Ok(TestContext { server, rest, accounts })
}

impl TestContext {
    async fn client(&self, number: usize) -> Result<Client, Failed> {
        Client::open(&self.server.addresses.target(), &self.accounts[number]).await
    }

    fn id(&self, number: usize) -> Uuid {
        self.accounts[number].user_id
    }

    /// Watches somebody and returns the first update.
    async fn watch(&self, client: &mut Client, whom: usize) -> Result<Value, Failed> {
        send_frame(client, "presence.subscribe", &json!({ "user_ids": [self.id(whom), Uuid::nil()] }))
            .await?;
        await_frame(client, "presence.update").await
    }

    async fn change_profile(&self, number: usize, patch: &Value) -> Result<(), Failed> {
        let token = Some(self.accounts[number].access_token.as_str());
        let answer = self.rest.call(Method::PATCH, "/api/v1/users/me", token, Some(patch)).await?;
        expect(answer.status == 200, || format!("{patch} was answered {}", answer.status))
    }

    /// What the list says of one user, as another sees them.
    async fn listed(&self, viewer: usize, of: usize) -> Result<Value, Failed> {
        let path = format!("/presence?user_ids={},{}", self.id(of), Uuid::nil());
        let list = call(&self.rest, Method::GET, &path, &self.accounts[viewer], 200).await?;
        expect(list["items"].as_array().is_some_and(|items| items.len() == 1), || format!("{list}"))?;
        Ok(list["items"][0].clone())
    }
}

/// Sets a connection's status and waits until the watcher is told.
async fn set(
    client: &mut Client,
    status: &str,
    watcher: &mut Client,
    expected: &str,
) -> Result<Value, Failed> {
    send_frame(client, "presence.set", &json!({ "status": status })).await?;
    let update = await_frame(watcher, "presence.update").await?;
    expect(update["status"] == expected, || format!("after {status}: {update}, not {expected}"))?;
    Ok(update)
}

pub(crate) async fn watchers_see_the_best_of_all_connections(test_server: &TestServer) -> Result<(), Failed> {
    let context = set_up(test_server).await?;
    let mut ada = context.client(0).await?;
    let first = context.watch(&mut ada, 1).await?;
    let expected = json!({
        "user_id": context.id(1), "status": "offline", "status_message": null, "last_seen_at": null,
    });
    expect(first == expected, || format!("the first update is {first}"))?;
    let mut bob = context.client(1).await?;
    let update = await_frame(&mut ada, "presence.update").await?;
    expect(update["status"] == "online", || format!("who came is {update}"))?;
    set(&mut bob, "away", &mut ada, "away").await?;
    let mut second = context.client(1).await?;
    let update = await_frame(&mut ada, "presence.update").await?;
    expect(update["status"] == "online", || format!("with a second connection: {update}"))?;
    set(&mut second, "dnd", &mut ada, "dnd").await?;
    drop(second);
    let update = await_frame(&mut ada, "presence.update").await?;
    expect(update["status"] == "away", || format!("the first is left: {update}"))?;
    let message = json!({ "status": "online", "status_message": "in the ring" });
    send_frame(&mut bob, "presence.set", &message).await?;
    let update = await_frame(&mut ada, "presence.update").await?;
    expect(update["status"] == "online" && update["status_message"] == "in the ring", || {
        format!("{update}")
    })?;
    let invisible = set(&mut bob, "offline", &mut ada, "offline").await?;
    expect(invisible["last_seen_at"].is_string(), || format!("who hides was seen: {invisible}"))?;
    drop(bob);
    let bob = context.client(1).await?;
    let update = await_frame(&mut ada, "presence.update").await?;
    expect(update["status"] == "online" && update["last_seen_at"] == invisible["last_seen_at"], || {
        format!("an end that nobody could see is not told of: {update}")
    })?;
    drop(bob);
    let update = await_frame(&mut ada, "presence.update").await?;
    expect(
        update["status"] == "offline" && update["last_seen_at"].as_str() > invisible["last_seen_at"].as_str(),
        || format!("who went is {update}"),
    )?;
    let listed = context.listed(0, 1).await?;
    expect(listed == update, || format!("the list says {listed}, the update {update}"))?;
    send_frame(&mut ada, "presence.unsubscribe", &json!({ "user_ids": [context.id(1)] })).await?;
    ada.is_alive().await?;
    let _bob = context.client(1).await?;
    let cyd = context.watch(&mut ada, 2).await?;
    expect(cyd["user_id"] == json!(context.id(2)), || format!("told of who is not watched any more: {cyd}"))
}

pub(crate) async fn who_may_not_know_sees_nobody_there(test_server: &TestServer) -> Result<(), Failed> {
    let context = set_up(test_server).await?;
    let (mut ada, mut cyd) = (context.client(0).await?, context.client(2).await?);
    let mut bob = context.client(1).await?;
    for watcher in [&mut ada, &mut cyd] {
        let update = context.watch(watcher, 1).await?;
        expect(update["status"] == "online", || format!("{update}"))?;
    }
    // A block is felt at once, by both sides and nobody else.
    let block = format!("/users/me/blocks/{}", context.id(0));
    call(&context.rest, Method::PUT, &block, &context.accounts[1], 204).await?;
    let update = await_frame(&mut ada, "presence.update").await?;
    expect(update["status"] == "offline" && update["last_seen_at"].is_null(), || format!("{update}"))?;
    set(&mut bob, "away", &mut cyd, "away").await?;
    let listed = [context.listed(0, 1).await?, context.listed(1, 0).await?];
    expect(listed.iter().all(|one| one["status"] == "offline"), || format!("{listed:?}"))?;
    call(&context.rest, Method::DELETE, &block, &context.accounts[1], 204).await?;
    let update = await_frame(&mut ada, "presence.update").await?;
    expect(update["status"] == "away", || format!("{update}"))?;
    // So are settings; one's own devices know in any case.
    let hide = json!({ "settings": { "privacy": { "presence": "nobody", "last_seen": "nobody" } } });
    context.change_profile(1, &hide).await?;
    let update = await_frame(&mut cyd, "presence.update").await?;
    expect(update["status"] == "offline", || format!("{update}"))?;
    let own = context.watch(&mut bob, 1).await?;
    expect(own["status"] == "away", || format!("one's own is {own}"))?;
    // A message that ends by itself.
    let show =
        json!({ "settings": { "privacy": { "presence": "everyone" } }, "status_message": "back soon" });
    context.change_profile(1, &show).await?;
    let update = await_frame(&mut cyd, "presence.update").await?;
    expect(update["status_message"] == "back soon" && update["status"] == "away", || format!("{update}"))?;
    let until = std::time::SystemTime::now() + Duration::from_millis(1_500);
    let until = until.duration_since(std::time::UNIX_EPOCH)?.as_millis();
    let (seconds, ms) = (until / 1_000 % 86_400, until % 1_000);
    let today = today(&context).await?;
    let until =
        format!("{today}T{:02}:{:02}:{:02}.{ms:03}Z", seconds / 3_600, seconds / 60 % 60, seconds % 60);
    context.change_profile(1, &json!({ "status_message": "a moment", "status_expires_at": until })).await?;
    let update = await_frame(&mut cyd, "presence.update").await?;
    expect(update["status_message"] == "a moment", || format!("{update}"))?;
    let update = await_frame(&mut cyd, "presence.update").await?;
    expect(update["status_message"].is_null(), || format!("{update}"))
}

/// The day, as the server writes it.
async fn today(context: &TestContext) -> Result<String, Failed> {
    let me = call(&context.rest, Method::GET, "/users/me", &context.accounts[0], 200).await?;
    let day = me["created_at"].as_str().and_then(|time| time.split('T').next()).unwrap_or_default();
    Ok(day.to_owned())
}

pub(crate) async fn last_seen_survives_a_restart(test_server: &TestServer) -> Result<(), Failed> {
    let mut context = set_up(test_server).await?;
    let mut ada = context.client(0).await?;
    let bob = context.client(1).await?;
    context.watch(&mut ada, 1).await?;
    drop(bob);
    let mut update = await_frame(&mut ada, "presence.update").await?;
    if update["status"] == "online" {
        update = await_frame(&mut ada, "presence.update").await?;
    }
    expect(update["status"] == "offline" && update["last_seen_at"].is_string(), || format!("{update}"))?;
    context.server.kill().await?;
    context.server = test_server.start(&[]).await?;
    context.rest = context.server.addresses.rest();
    let listed = context.listed(0, 1).await?;
    expect(listed == update, || format!("after the restart the list says {listed}, not {update}"))?;
    let own = context.listed(0, 0).await?;
    expect(own["status"] == "offline", || format!("who was connected when it was killed is {own}"))
}

pub(crate) async fn bad_wishes_are_refused(test_server: &TestServer) -> Result<(), Failed> {
    let context = set_up(test_server).await?;
    let mut ada = context.client(0).await?;
    let many: Vec<Uuid> = (0..501).map(|_| Uuid::new_v4()).collect();
    let requests = [
        ("presence.set", json!({ "status": "asleep" })),
        ("presence.set", json!({ "status": "away", "status_message": "x".repeat(141) })),
        ("presence.subscribe", json!({ "user_ids": many })),
    ];
    for (kind, payload) in requests {
        send_frame(&mut ada, kind, &payload).await?;
        let Err(Failed(refused)) = await_frame(&mut ada, "presence.update").await else {
            return Err(Failed(format!("{kind} {payload} is taken")));
        };
        expect(refused.contains("bad_request"), || format!("{kind} is answered {refused}"))?;
    }
    for _ in 0..4 {
        let users: Vec<Uuid> = (0..500).map(|_| Uuid::new_v4()).collect();
        send_frame(&mut ada, "presence.subscribe", &json!({ "user_ids": users })).await?;
    }
    send_frame(&mut ada, "presence.subscribe", &json!({ "user_ids": [context.id(1)] })).await?;
    let Err(Failed(refused)) = await_frame(&mut ada, "presence.update").await else {
        return Err(Failed("a connection may watch any number".into()));
    };
    expect(refused.contains("rate_limited"), || format!("one too many is answered {refused}"))?;
    for bad in ["/presence?user_ids=x", "/presence"] {
        call(&context.rest, Method::GET, bad, &context.accounts[0], 400).await?;
    }
    ada.is_alive().await
}
