//! Typing: others see who types, and that it ends.

use std::time::{Duration, Instant};

use ringside_test_client::rest::Account;
use ringside_test_client::server::ServerProcess;
use serde_json::{Value, json};
use uuid::Uuid;

use crate::test_server::{Client, Failed, TestServer, await_frame, expect, message, register, send_frame};

struct TestContext {
    server: ServerProcess,
    accounts: Vec<Account>,
    channel: Uuid,
}

/// Three users, all in one channel, and a fourth who is not.
async fn set_up(test_server: &TestServer) -> Result<TestContext, Failed> {
    let server = test_server.start(&[]).await?;
    let accounts = register(&server, 4).await?;
    let others = [accounts[1].user_id, accounts[2].user_id];
    let rest = server.addresses.rest();
    let channel = rest.create_channel(&accounts[0].access_token, "group", "all", &others).await?;
    Ok(TestContext { server, accounts, channel })
}

impl TestContext {
    async fn client(&self, number: usize) -> Result<Client, Failed> {
        Client::open(&self.server.addresses.target(), &self.accounts[number]).await
    }

    async fn says(&self, client: &mut Client, kind: &str) -> Result<(), Failed> {
        send_frame(client, kind, &json!({ "channel_id": self.channel })).await
    }

    /// The next update names these.
    async fn type_now(&self, client: &mut Client, expected: &[usize]) -> Result<(), Failed> {
        let update = await_frame(client, "typing.update").await?;
        let expected: Vec<Uuid> = expected.iter().map(|number| self.accounts[*number].user_id).collect();
        let fits = update["users"] == json!(expected) && update["channel_id"] == json!(self.channel);
        expect(fits, || format!("typing.update says {update}, not {expected:?}"))
    }
}

pub(crate) async fn others_see_it_until_it_ends(test_server: &TestServer) -> Result<(), Failed> {
    let context = set_up(test_server).await?;
    let mut ada = context.client(0).await?;
    let mut bob = [context.client(1).await?, context.client(1).await?];
    let mut cyd = context.client(2).await?;
    context.says(&mut ada, "typing.start").await?;
    let since = Instant::now();
    for client in bob.iter_mut().chain([&mut cyd]) {
        context.type_now(client, &[0]).await?;
    }
    // Repeats within three seconds go nowhere: the next that is heard is Cyd's.
    context.says(&mut ada, "typing.start").await?;
    context.says(&mut cyd, "typing.start").await?;
    context.type_now(&mut bob[0], &[0, 2]).await?;
    context.type_now(&mut ada, &[2]).await?;
    context.says(&mut cyd, "typing.stop").await?;
    context.type_now(&mut bob[0], &[0]).await?;
    context.type_now(&mut ada, &[]).await?;
    // Ada gives no sign any more: six seconds after the last it is over.
    context.type_now(&mut bob[0], &[]).await?;
    let lived = since.elapsed();
    let fits = lived > Duration::from_millis(5_500) && lived < Duration::from_secs(8);
    expect(fits, || format!("an entry lived {lived:?}"))?;
    let mut dan = context.client(3).await?;
    let frame = json!({ "type": "typing.start", "id": "t", "payload": { "channel_id": context.channel } });
    dan.socket.send(&frame.to_string()).await?;
    let Err(Failed(refused)) = await_frame(&mut dan, "typing.update").await else {
        return Err(Failed("an outsider may type".into()));
    };
    expect(refused.contains("not_a_member"), || format!("an outsider is told {refused}"))
}

pub(crate) async fn who_seems_offline_is_not_seen_to_type(test_server: &TestServer) -> Result<(), Failed> {
    let context = set_up(test_server).await?;
    let (mut ada, mut bob) = (context.client(0).await?, context.client(1).await?);
    let mut cyd = context.client(2).await?;
    let say = async |ada: &mut Client, status: &str| {
        send_frame(ada, "presence.set", &json!({ "status": status })).await
    };
    context.says(&mut ada, "typing.start").await?;
    context.type_now(&mut bob, &[0]).await?;
    say(&mut ada, "offline").await?;
    context.type_now(&mut bob, &[]).await?;
    context.says(&mut ada, "typing.start").await?;
    // Frames of one connection are taken in order: what comes after Ada's is seen after it.
    say(&mut ada, "online").await?;
    context.says(&mut cyd, "typing.start").await?;
    context.type_now(&mut bob, &[2]).await?;
    context.says(&mut ada, "typing.start").await?;
    context.type_now(&mut bob, &[2, 0]).await
}

pub(crate) async fn a_message_and_a_disconnect_end_it(test_server: &TestServer) -> Result<(), Failed> {
    let context = set_up(test_server).await?;
    let (mut ada, mut bob) = (context.client(0).await?, context.client(1).await?);
    context.says(&mut ada, "typing.start").await?;
    context.type_now(&mut bob, &[0]).await?;
    let since = Instant::now();
    ada.socket.send(&message(Uuid::new_v4(), context.channel, "typed")).await?;
    context.type_now(&mut bob, &[]).await?;
    // The message has ended it here as well, so the next start is a new one.
    let new: Value = await_frame(&mut ada, "message.new").await?;
    expect(new["content"] == "typed", || format!("the message is {new}"))?;
    context.says(&mut ada, "typing.start").await?;
    context.type_now(&mut bob, &[0]).await?;
    drop(ada);
    context.type_now(&mut bob, &[]).await?;
    expect(since.elapsed() < Duration::from_secs(5), || "the timer ended it, and nothing else".into())
}
