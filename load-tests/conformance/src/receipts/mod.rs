//! Receipts: who is told, how often, and what the list says.

pub(super) mod unread;

use std::time::{Duration, Instant};

use hyper::Method;
use ringside_test_client::rest::{Account, Rest};
use ringside_test_client::server::ServerProcess;
use ringside_test_client::websocket::Incoming;
use serde_json::{Value, json};
use uuid::Uuid;

use crate::test_server::{
    Client, Failed, TestServer, await_frame, call, expect, message, register, send_frame,
};

/// Two receipts of a user and channel are this far apart at the least, as others see them.
const PACE: Duration = Duration::from_millis(900);

struct TestContext {
    server: ServerProcess,
    rest: Rest,
    accounts: Vec<Account>,
    channel: Uuid,
}

/// Registered users, the first two of them in a channel.
async fn set_up(test_server: &TestServer, people: usize, members: usize) -> Result<TestContext, Failed> {
    let server = test_server.start(&[("register_per_minute_per_address", 0)]).await?;
    let accounts = register(&server, people).await?;
    let rest = server.addresses.rest();
    let others: Vec<Uuid> = accounts[1..members].iter().map(|account| account.user_id).collect();
    let channel = rest.create_channel(&accounts[0].access_token, "group", "all", &others).await?;
    Ok(TestContext { server, rest, accounts, channel })
}

impl TestContext {
    async fn client(&self, number: usize) -> Result<Client, Failed> {
        Client::open(&self.server.addresses.target(), &self.accounts[number]).await
    }

    fn id(&self, number: usize) -> String {
        self.accounts[number].user_id.to_string()
    }

    /// Sends so many messages; their ids as the sender hears them.
    async fn send(&self, client: &mut Client, count: usize) -> Result<Vec<String>, Failed> {
        let mut ids = Vec::with_capacity(count);
        for number in 0..count {
            let frame = message(Uuid::new_v4(), self.channel, &format!("message {number}"));
            client.socket.send(&frame).await?;
            let new = await_frame(client, "message.new").await?;
            ids.push(new["message_id"].as_str().unwrap_or_default().to_owned());
        }
        Ok(ids)
    }

    async fn receipt(&self, client: &mut Client, kind: &str, id: &str) -> Result<(), Failed> {
        send_frame(client, kind, &json!({ "channel_id": self.channel, "message_id": id })).await
    }

    /// What the list says of a member, as another sees it.
    async fn listed(&self, viewer: usize, of: usize) -> Result<(Value, Value), Failed> {
        let path = format!("/channels/{}/receipts", self.channel);
        let list = call(&self.rest, Method::GET, &path, &self.accounts[viewer], 200).await?;
        let id = self.id(of);
        let item =
            list["items"].as_array().and_then(|items| items.iter().find(|item| item["user_id"] == *id));
        let item = item.ok_or_else(|| Failed(format!("{id} is not in {list}")))?;
        Ok((item["last_delivered_id"].clone(), item["last_read_id"].clone()))
    }

    async fn unread(&self, of: usize) -> Result<Value, Failed> {
        let list = call(&self.rest, Method::GET, "/channels", &self.accounts[of], 200).await?;
        Ok(list["items"][0]["unread_count"].clone())
    }
}

fn is_status(status: &Value, user: &str, delivered: &str, read: Option<&str>) -> Result<(), Failed> {
    let fits = status["user_id"] == user
        && status["last_delivered_id"] == delivered
        && status["last_read_id"] == json!(read);
    expect(fits, || format!("message.status says {status}, not {user}: {delivered}, {read:?}"))
}

/// Nothing of this kind comes before the answer to a ping.
async fn hears_nothing(client: &mut Client, kind: &str) -> Result<(), Failed> {
    client.socket.send(r#"{"type":"ping","id":"quiet?"}"#).await?;
    loop {
        match client.incoming().await? {
            Incoming::Text(text) => {
                let frame: Value = serde_json::from_slice(&text)?;
                expect(frame["type"] != kind, || format!("unwanted: {frame}"))?;
                if frame["type"] == "pong" {
                    return Ok(());
                }
            }
            Incoming::Closed(code) => return Err(Failed(format!("closed with {code:?}"))),
        }
    }
}

pub(super) async fn what_is_read_reaches_members_and_the_list(
    test_server: &TestServer,
) -> Result<(), Failed> {
    let context = set_up(test_server, 2, 2).await?;
    let mut ada = [context.client(0).await?, context.client(0).await?];
    let mut bob = [context.client(1).await?, context.client(1).await?];
    let ids = context.send(&mut ada[0], 3).await?;
    expect(context.unread(1).await? == 3, || "three are unread".into())?;
    context.receipt(&mut bob[0], "message.delivered", &ids[2]).await?;
    for client in ada.iter_mut().chain(&mut bob) {
        is_status(&await_frame(client, "message.status").await?, &context.id(1), &ids[2], None)?;
    }
    context.receipt(&mut bob[1], "message.read", &ids[1]).await?;
    for client in ada.iter_mut().chain(&mut bob) {
        is_status(&await_frame(client, "message.status").await?, &context.id(1), &ids[2], Some(&ids[1]))?;
    }
    expect(context.unread(1).await? == 1, || "one is unread".into())?;
    let listed = context.listed(0, 1).await?;
    expect(listed == (json!(ids[2]), json!(ids[1])), || format!("the list says {listed:?}"))?;
    // An older one changes nothing: the register holds the greatest.
    context.receipt(&mut bob[0], "message.read", &ids[0]).await?;
    is_status(&await_frame(&mut ada[0], "message.status").await?, &context.id(1), &ids[2], Some(&ids[1]))?;
    context.receipt(&mut bob[0], "message.read", &ids[2]).await?;
    is_status(&await_frame(&mut ada[0], "message.status").await?, &context.id(1), &ids[2], Some(&ids[2]))?;
    let asked = json!({ "channels": [{ "channel_id": context.channel, "last_message_id": ids[2] }] });
    send_frame(&mut bob[0], "sync", &asked).await?;
    let done = await_frame(&mut bob[0], "sync.done").await?;
    expect(done["channels"][0]["unread_count"] == 0, || format!("sync.done says {done}"))?;
    expect(context.unread(1).await? == 0, || "none is unread".into())
}

pub(super) async fn at_most_one_a_second_and_the_newest_wins(test_server: &TestServer) -> Result<(), Failed> {
    let context = set_up(test_server, 2, 2).await?;
    let (mut ada, mut bob) = (context.client(0).await?, context.client(1).await?);
    let ids = context.send(&mut ada, 12).await?;
    // From before the receipts: the first status can't leave earlier, and on a busy machine it may arrive late.
    let start = Instant::now();
    for id in &ids {
        context.receipt(&mut bob, "message.read", id).await?;
    }
    is_status(&await_frame(&mut ada, "message.status").await?, &context.id(1), &ids[0], Some(&ids[0]))?;
    is_status(&await_frame(&mut ada, "message.status").await?, &context.id(1), &ids[11], Some(&ids[11]))?;
    expect(start.elapsed() >= PACE, || format!("the second came after {:?}", start.elapsed()))?;
    hears_nothing(&mut ada, "message.status").await
}

pub(super) async fn who_hides_them_is_not_shown(test_server: &TestServer) -> Result<(), Failed> {
    let context = set_up(test_server, 3, 3).await?;
    let hide = json!({ "settings": { "privacy": { "receipts": "nobody" } } });
    let token = Some(context.accounts[1].access_token.as_str());
    let changed = context.rest.call(Method::PATCH, "/api/v1/users/me", token, Some(&hide)).await?;
    expect(changed.status == 200, || format!("the settings were answered {}", changed.status))?;
    call(
        &context.rest,
        Method::PUT,
        &format!("/users/me/blocks/{}", context.id(2)),
        &context.accounts[0],
        204,
    )
    .await?;
    let mut clients = Vec::new();
    for number in [0, 1, 1, 2] {
        clients.push(context.client(number).await?);
    }
    let ids = context.send(&mut clients[0], 1).await?;
    context.receipt(&mut clients[1], "message.read", &ids[0]).await?;
    for own in &mut clients[1..=2] {
        is_status(&await_frame(own, "message.status").await?, &context.id(1), &ids[0], Some(&ids[0]))?;
    }
    // Cyd is blocked by Ada: neither sees the other's. Bob sees Cyd's, who comes last, so that all of Bob's was out.
    context.receipt(&mut clients[3], "message.read", &ids[0]).await?;
    is_status(
        &await_frame(&mut clients[1], "message.status").await?,
        &context.id(2),
        &ids[0],
        Some(&ids[0]),
    )?;
    is_status(
        &await_frame(&mut clients[3], "message.status").await?,
        &context.id(2),
        &ids[0],
        Some(&ids[0]),
    )?;
    hears_nothing(&mut clients[0], "message.status").await?;
    let hidden = (Value::Null, Value::Null);
    let seen = [context.listed(0, 1).await?, context.listed(0, 2).await?, context.listed(2, 1).await?];
    expect(seen.iter().all(|it| *it == hidden), || format!("the lists say {seen:?}"))?;
    let own = context.listed(1, 1).await?;
    expect(own == (json!(ids[0]), json!(ids[0])), || format!("one's own is {own:?}"))
}

pub(super) async fn large_channels_tell_own_devices_alone(test_server: &TestServer) -> Result<(), Failed> {
    let context = set_up(test_server, 65, 65).await?;
    let (mut ada, mut bob) = (context.client(0).await?, [context.client(1).await?, context.client(1).await?]);
    let ids = context.send(&mut ada, 1).await?;
    context.receipt(&mut bob[0], "message.read", &ids[0]).await?;
    for client in &mut bob {
        is_status(&await_frame(client, "message.status").await?, &context.id(1), &ids[0], Some(&ids[0]))?;
    }
    hears_nothing(&mut ada, "message.status").await?;
    let listed = context.listed(0, 1).await?;
    expect(listed == (json!(ids[0]), json!(ids[0])), || format!("the list says {listed:?}"))
}

pub(super) async fn bad_ones_are_refused(test_server: &TestServer) -> Result<(), Failed> {
    let context = set_up(test_server, 3, 2).await?;
    let (mut ada, mut eve) = (context.client(0).await?, context.client(2).await?);
    let ids = context.send(&mut ada, 2).await?;
    let (first, last): (u64, u64) = (ids[0].parse()?, ids[1].parse()?);
    // Two messages of one millisecond have neighbouring ids, so that there may be nothing between them.
    let (above, below) = ((last + 4_096_000).to_string(), (first - 1).to_string());
    for (id, code) in [(&above, "bad_request"), (&below, "not_found")] {
        let frame = json!({ "channel_id": context.channel, "message_id": id });
        let frame = json!({ "type": "message.read", "id": id, "payload": frame });
        ada.socket.send(&frame.to_string()).await?;
        let error = refusal(&mut ada).await?;
        expect(error["payload"]["code"] == code && error["id"] == **id, || format!("{id}: {error}"))?;
    }
    context.receipt(&mut eve, "message.read", &ids[0]).await?;
    let error = refusal(&mut eve).await?;
    expect(error["payload"]["code"] == "not_a_member", || format!("an outsider is told {error}"))?;
    let path = format!("/channels/{}/receipts", context.channel);
    call(&context.rest, Method::GET, &path, &context.accounts[2], 404).await?;
    hears_nothing(&mut ada, "message.status").await
}

async fn refusal(client: &mut Client) -> Result<Value, Failed> {
    loop {
        match client.incoming().await? {
            Incoming::Text(text) => {
                let frame: Value = serde_json::from_slice(&text)?;
                if frame["type"] == "error" {
                    return Ok(frame);
                }
            }
            Incoming::Closed(code) => return Err(Failed(format!("closed with {code:?}"))),
        }
    }
}

pub(super) async fn they_survive_a_restart(test_server: &TestServer) -> Result<(), Failed> {
    let mut context = set_up(test_server, 2, 2).await?;
    let (mut ada, mut bob) = (context.client(0).await?, context.client(1).await?);
    let ids = context.send(&mut ada, 5).await?;
    for id in &ids {
        context.receipt(&mut bob, "message.read", id).await?;
    }
    // The answer says that the edge has taken all of them; the last is still held for the second to be over.
    bob.is_alive().await?;
    drop((ada, bob));
    context.server.terminate()?;
    context.server.await_end(Duration::from_secs(30)).await?;
    context.server = test_server.start(&[("register_per_minute_per_address", 0)]).await?;
    context.rest = context.server.addresses.rest();
    let deadline = Instant::now() + Duration::from_secs(10);
    loop {
        let listed = context.listed(0, 1).await?;
        if listed == (json!(ids[4]), json!(ids[4])) {
            return expect(context.unread(1).await? == 0, || "none is unread".into());
        }
        expect(Instant::now() < deadline, || format!("after the restart the list says {listed:?}"))?;
        tokio::time::sleep(Duration::from_millis(50)).await;
    }
}
