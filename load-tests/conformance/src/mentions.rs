//! Mentions and notifications: whom a text names, and what those who are away are told.

use std::time::Instant;

use hyper::Method;
use ringside_test_client::rest::{Account, Rest};
use ringside_test_client::server::ServerProcess;
use ringside_test_client::websocket::Incoming;
use serde_json::{Value, json};
use uuid::Uuid;

use crate::test_server::{
    ANSWER_DEADLINE, Client, Failed, TestServer, await_frame, call, expect, register, send_frame,
};

/// Three people, the first two of whom are in a group and have a DM.
struct TestContext {
    server: ServerProcess,
    rest: Rest,
    accounts: Vec<Account>,
    group: Uuid,
    direct: Uuid,
}

async fn set_up(test_server: &TestServer) -> Result<TestContext, Failed> {
    let server = test_server.start(&[]).await?;
    let accounts = register(&server, 3).await?;
    let rest = server.addresses.rest();
    let (token, other) = (&accounts[0].access_token, [accounts[1].user_id]);
    let group = rest.create_channel(token, "group", "all", &other).await?;
    let direct = rest.create_channel(token, "dm", "", &other).await?;
    Ok(TestContext { server, rest, accounts, group, direct })
}

impl TestContext {
    async fn client(&self, number: usize) -> Result<Client, Failed> {
        Client::open(&self.server.addresses.target(), &self.accounts[number]).await
    }

    async fn name(&self, number: usize) -> Result<String, Failed> {
        let me = call(&self.rest, Method::GET, "/users/me", &self.accounts[number], 200).await?;
        Ok(me["username"].as_str().unwrap_or_default().to_owned())
    }

    /// Sends a message by REST, and says what was kept of its metadata.
    async fn post(&self, by: usize, channel: Uuid, body: &Value) -> Result<Value, Failed> {
        let path = format!("/api/v1/channels/{channel}/messages");
        let token = Some(self.accounts[by].access_token.as_str());
        let answer = self.rest.call(Method::POST, &path, token, Some(body)).await?;
        expect(answer.status == 201, || format!("{body} was answered {}", answer.status))?;
        Ok(serde_json::from_slice::<Value>(&answer.body)?["metadata"].clone())
    }
}

pub(crate) async fn names_of_members_become_mentions(test_server: &TestServer) -> Result<(), Failed> {
    let context = set_up(test_server).await?;
    let mut ada = context.client(0).await?;
    let (bob, carl) = (context.name(1).await?, context.name(2).await?);
    let bob_id = json!(context.accounts[1].user_id);
    let texts = [
        (format!("@{}: and @{carl}, @nobody", bob.to_uppercase()), json!({ "mentions": [bob_id] })),
        (format!("to all of @channel, @{bob}."), json!({ "mentions": [bob_id, "channel"] })),
        (format!("{bob}@example.org and @{carl}"), Value::Null),
    ];
    for (content, metadata) in &texts {
        send_frame(&mut ada, "message.send", &json!({ "channel_id": context.group, "content": content }))
            .await?;
        let new = await_frame(&mut ada, "message.new").await?;
        expect(new["metadata"] == *metadata, || format!("{content} came as {new}"))?;
        let posted = context.post(0, context.group, &json!({ "content": content })).await?;
        expect(posted == *metadata, || format!("by REST {content} came with {posted}"))?;
        await_frame(&mut ada, "message.new").await?;
    }
    let body = json!({ "content": format!("@{bob}"), "metadata": { "mentions": ["x"], "colour": "red" } });
    let kept = context.post(0, context.group, &body).await?;
    expect(kept == json!({ "mentions": [bob_id], "colour": "red" }), || format!("beside others: {kept}"))?;
    // Messages that name somebody wait for the Directory, and those behind them keep their place.
    await_frame(&mut ada, "message.new").await?;
    for number in 0..8 {
        let content = if number % 2 == 0 { format!("{number} @{bob}") } else { number.to_string() };
        send_frame(&mut ada, "message.send", &json!({ "channel_id": context.group, "content": content }))
            .await?;
    }
    for number in 0..8 {
        let new = await_frame(&mut ada, "message.new").await?;
        let content = new["content"].as_str().unwrap_or_default();
        expect(content.starts_with(&number.to_string()), || format!("out of order: {content}"))?;
    }
    Ok(())
}

pub(crate) async fn an_edit_reads_its_mentions_again(test_server: &TestServer) -> Result<(), Failed> {
    let context = set_up(test_server).await?;
    let mut ada = context.client(0).await?;
    let mut bob = context.client(1).await?;
    let name = context.name(1).await?;
    send_frame(&mut bob, "presence.set", &json!({ "status": "away" })).await?;
    until_notified(&context, &mut bob, context.group, "hello", Some("message")).await?;
    let named = json!({ "mentions": [context.accounts[1].user_id], "colour": "red" });
    let bare = json!({ "colour": "red" });
    let everyone = json!({ "mentions": [context.accounts[1].user_id, "channel"], "colour": "red" });
    let steps = [
        (format!("hello @{name}"), &named, true),
        (format!("hello again, @{name}"), &named, false),
        (format!("to @channel and @{name}"), &everyone, false),
        (format!("never write `@{name}`"), &bare, false),
        ("nobody".to_owned(), &bare, false),
    ];
    for is_rest in [false, true] {
        context.post(0, context.group, &json!({ "content": "to be edited", "metadata": bare })).await?;
        let new = await_frame(&mut bob, "message.new").await?;
        let message_id = &new["message_id"];
        await_frame(&mut bob, "notification").await?;
        for (content, metadata, is_notified) in &steps {
            if is_rest {
                let id = message_id.as_str().unwrap_or_default();
                let path = format!("/api/v1/channels/{}/messages/{id}", context.group);
                let token = Some(context.accounts[0].access_token.as_str());
                let answer = context
                    .rest
                    .call(Method::PATCH, &path, token, Some(&json!({ "content": content })))
                    .await?;
                expect(answer.status == 200, || format!("an edit was answered {}", answer.status))?;
            } else {
                let edit =
                    json!({ "channel_id": context.group, "message_id": message_id, "content": content });
                send_frame(&mut ada, "message.edit", &edit).await?;
            }
            let updated = await_frame(&mut bob, "message.updated").await?;
            expect(updated["metadata"] == **metadata, || format!("{content} came as {updated}"))?;
            let notified = notification(&mut bob).await?;
            let kind = notified.as_ref().map(|frame| (&frame["message_id"], frame["kind"].as_str()));
            let expected = is_notified.then_some((message_id, Some("mention")));
            expect(kind == expected, || format!("{content} notified {notified:?}"))?;
        }
    }
    Ok(())
}

/// What a client is notified of that came by now: what comes of a message comes before what comes of a frame sent after it.
async fn notification(client: &mut Client) -> Result<Option<Value>, Failed> {
    client.socket.send(r#"{"type":"ping"}"#).await?;
    let mut notified = None;
    loop {
        let Incoming::Text(text) = client.incoming().await? else {
            return Err(Failed("closed".to_owned()));
        };
        let frame: Value = serde_json::from_slice(&text)?;
        match frame["type"].as_str() {
            Some("pong") => return Ok(notified),
            Some("notification") => notified = Some(frame["payload"].clone()),
            _ => {}
        }
    }
}

/// Sends messages until what comes with one is as expected: who is away is known a moment after they say so.
async fn until_notified(
    context: &TestContext,
    away: &mut Client,
    channel: Uuid,
    content: &str,
    kind: Option<&str>,
) -> Result<(), Failed> {
    let since = Instant::now();
    loop {
        context.post(0, channel, &json!({ "content": content })).await?;
        let new = await_frame(away, "message.new").await?;
        let notified = notification(away).await?;
        let expected = kind.map(
            |kind| json!({ "channel_id": new["channel_id"], "message_id": new["message_id"], "kind": kind }),
        );
        if notified == expected {
            return Ok(());
        }
        expect(since.elapsed() < ANSWER_DEADLINE, || format!("{content}: {notified:?}, not {expected:?}"))?;
    }
}

pub(crate) async fn who_is_away_is_notified(test_server: &TestServer) -> Result<(), Failed> {
    let context = set_up(test_server).await?;
    let name = context.name(1).await?;
    let mut bob = context.client(1).await?;
    until_notified(&context, &mut bob, context.group, "while online", None).await?;
    send_frame(&mut bob, "presence.set", &json!({ "status": "away" })).await?;
    until_notified(&context, &mut bob, context.group, "hello", Some("message")).await?;
    until_notified(&context, &mut bob, context.direct, "hello", Some("direct")).await?;
    until_notified(&context, &mut bob, context.direct, &format!("hello @{name}"), Some("mention")).await?;
    until_notified(&context, &mut bob, context.group, "hello @channel", Some("mention")).await?;
    let mute = format!("/api/v1/channels/{}/mute", context.group);
    let token = Some(context.accounts[1].access_token.as_str());
    for (method, body, kind) in [
        (Method::PUT, Some(json!({ "until": null })), None),
        (Method::DELETE, None, Some("message")),
        (Method::PUT, Some(json!({ "until": "2020-01-01T00:00:00.000Z" })), Some("message")),
    ] {
        let answer = context.rest.call(method, &mute, token, body.as_ref()).await?;
        expect(answer.status == 204, || format!("mute was answered {}", answer.status))?;
        until_notified(&context, &mut bob, context.group, "hello", kind).await?;
    }
    // Their own messages are no news to them, on whichever device.
    let path = format!("/api/v1/channels/{}/messages", context.group);
    context.rest.call(Method::POST, &path, token, Some(&json!({ "content": "mine" }))).await?;
    await_frame(&mut bob, "message.new").await?;
    until_notified(&context, &mut bob, context.group, "hello", Some("message")).await?;
    let second = context.client(1).await?;
    until_notified(&context, &mut bob, context.group, "online elsewhere", None).await?;
    drop(second);
    until_notified(&context, &mut bob, context.group, "away again", Some("message")).await?;
    send_frame(&mut bob, "presence.set", &json!({ "status": "dnd" })).await?;
    until_notified(&context, &mut bob, context.group, "not to be disturbed", None).await
}
