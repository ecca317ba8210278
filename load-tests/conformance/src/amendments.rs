//! Messages that are there, changed: every member is told, in the order of `change`; history and sync agree; who may not,
//! is refused.

use hyper::Method;
use ringside_test_client::rest::{Account, Rest};
use ringside_test_client::server::ServerProcess;
use serde_json::{Value, json};
use uuid::Uuid;

use crate::test_server::{
    Client, Failed, TestServer, await_frame, call, expect, message, register, send_frame,
};

/// Two members, an outsider, and a message of the first.
struct TestContext {
    _server: ServerProcess,
    rest: Rest,
    accounts: Vec<Account>,
    one: Client,
    two: Client,
    channel: Uuid,
    message: String,
}

async fn set_up(test_server: &TestServer) -> Result<TestContext, Failed> {
    let server = test_server.start(&[("messages_per_second", 0)]).await?;
    let accounts = register(&server, 3).await?;
    let rest = server.addresses.rest();
    let members = [accounts[1].user_id];
    let channel = rest.create_channel(&accounts[0].access_token, "group", "all", &members).await?;
    let target = server.addresses.target();
    let mut one = Client::open(&target, &accounts[0]).await?;
    let mut two = Client::open(&target, &accounts[1]).await?;
    one.socket.send(&message(Uuid::new_v4(), channel, "first")).await?;
    let new = await_frame(&mut one, "message.new").await?;
    await_frame(&mut two, "message.new").await?;
    let message = new["message_id"].as_str().unwrap_or_default().to_owned();
    Ok(TestContext { _server: server, rest, accounts, one, two, channel, message })
}

pub(crate) async fn changes_reach_members_history_and_sync(test_server: &TestServer) -> Result<(), Failed> {
    let mut context = set_up(test_server).await?;
    let (channel, id) = (context.channel, context.message.clone());
    let target = json!({ "channel_id": channel, "message_id": id });
    let with = |name: &str, value: &str| {
        let mut payload = target.clone();
        payload[name] = value.into();
        payload
    };
    send_frame(&mut context.one, "message.edit", &with("content", "better")).await?;
    let edited = await_frame(&mut context.two, "message.updated").await?;
    expect(edited["content"] == "better" && edited["seq"] == 1 && edited["edited_at"].is_string(), || {
        format!("message.updated says {edited}")
    })?;
    send_frame(&mut context.two, "reaction.add", &with("emoji", "👍")).await?;
    let reacted = await_frame(&mut context.one, "reaction.updated").await?;
    expect(reacted["count"] == 1 && reacted["op"] == "add", || format!("reaction.updated says {reacted}"))?;
    let by = context.accounts[0].clone();
    let path = format!("/channels/{channel}/messages/{id}");
    call(&context.rest, Method::PUT, &format!("{path}/reactions/%F0%9F%91%8D"), &by, 204).await?;
    let again = await_frame(&mut context.two, "reaction.updated").await?;
    let again =
        if again["count"] == 1 { await_frame(&mut context.two, "reaction.updated").await? } else { again };
    expect(again["count"] == 2, || format!("the second reaction says {again}"))?;
    call(&context.rest, Method::PUT, &format!("{path}/reactions/%F0%9F%91%8D"), &by, 204).await?;
    call(&context.rest, Method::PUT, &format!("/channels/{channel}/pins/{id}"), &by, 204).await?;
    await_frame(&mut context.two, "message.pinned").await?;
    let pins = call(&context.rest, Method::GET, &format!("/channels/{channel}/pins"), &by, 200).await?;
    expect(pins["items"][0]["message_id"] == id.as_str(), || format!("the pins are {pins}"))?;
    let one = call(&context.rest, Method::GET, &path, &by, 200).await?;
    expect(one["content"] == "better", || format!("history says {one}"))?;
    let users = json!([context.accounts[1].user_id, context.accounts[0].user_id]);
    let reactions = json!([{ "emoji": "👍", "count": 2, "users": users, "me": true }]);
    expect(one["reactions"] == reactions, || format!("history's reactions are {one}"))?;
    let asked = json!({ "channels": [{ "channel_id": channel, "last_message_id": null }] });
    send_frame(&mut context.two, "sync", &asked).await?;
    let page = await_frame(&mut context.two, "sync.page").await?;
    expect(page["messages"][0]["reactions"] == reactions, || format!("the page's reactions: {page}"))?;
    await_frame(&mut context.two, "sync.done").await?;
    send_frame(&mut context.one, "message.delete", &target).await?;
    let deleted = await_frame(&mut context.two, "message.deleted").await?;
    expect(deleted["message_id"] == id.as_str(), || format!("message.deleted says {deleted}"))?;
    // The channel's own making is change 1.
    expect(deleted["change"] == 6, || format!("the deletion is change {}", deleted["change"]))?;
    let gone = call(&context.rest, Method::GET, &path, &by, 200).await?;
    expect(gone["deleted"] == true && gone["content"] == "" && gone["reactions"].is_null(), || {
        format!("the tombstone is {gone}")
    })?;
    let asked = json!({ "channels": [{ "channel_id": channel, "last_message_id": id, "last_change": 1 }] });
    send_frame(&mut context.two, "sync", &asked).await?;
    let page = await_frame(&mut context.two, "sync.page").await?;
    let kinds: Vec<&str> =
        page["changes"].as_array().into_iter().flatten().filter_map(|frame| frame["type"].as_str()).collect();
    let wanted =
        ["message.updated", "reaction.updated", "reaction.updated", "message.pinned", "message.deleted"];
    expect(kinds == wanted, || format!("sync brings {kinds:?}"))
}

pub(crate) async fn who_may_not_is_refused(test_server: &TestServer) -> Result<(), Failed> {
    let mut context = set_up(test_server).await?;
    let (channel, id) = (context.channel, context.message.clone());
    let path = format!("/channels/{channel}/messages/{id}");
    let (owner, member, outsider) = (&context.accounts[0], &context.accounts[1], &context.accounts[2]);
    call(&context.rest, Method::DELETE, &path, outsider, 404).await?;
    call(&context.rest, Method::PUT, &format!("{path}/reactions/x"), outsider, 404).await?;
    call(&context.rest, Method::GET, &format!("/channels/{channel}/pins"), outsider, 404).await?;
    call(&context.rest, Method::DELETE, &path, member, 403).await?;
    call(&context.rest, Method::DELETE, &format!("/channels/{channel}/messages/12"), owner, 404).await?;
    // The pipeline says the same to who asks over the socket.
    let payload = json!({ "channel_id": channel, "message_id": id, "content": "mine now" });
    let frame = json!({ "type": "message.edit", "id": Uuid::new_v4(), "payload": payload });
    context.two.socket.send(&frame.to_string()).await?;
    let refused = await_frame(&mut context.two, "message.rejected").await?;
    expect(refused["code"] == "forbidden", || format!("a foreign edit came to {refused}"))?;
    let payload =
        json!({ "channel_id": channel, "content": "to nobody", "content_type": "reply", "reply_to": "12" });
    send_frame(&mut context.two, "message.send", &payload).await?;
    let rejected = await_frame(&mut context.two, "message.rejected").await?;
    expect(rejected["code"] == "not_found", || format!("a reply to nothing came to {rejected}"))?;
    call(&context.rest, Method::DELETE, &path, owner, 204).await?;
    call(&context.rest, Method::DELETE, &path, owner, 204).await?;
    call(&context.rest, Method::PUT, &format!("{path}/reactions/x"), member, 404).await.map(drop)
}

pub(crate) async fn replies_make_a_thread(test_server: &TestServer) -> Result<(), Failed> {
    let mut context = set_up(test_server).await?;
    let (channel, id) = (context.channel, context.message.clone());
    for number in 0..3 {
        let payload = json!({
            "channel_id": channel, "content": format!("reply {number}"), "content_type": "reply", "reply_to": id,
        });
        send_frame(&mut context.two, "message.send", &payload).await?;
        context.one.socket.send(&message(Uuid::new_v4(), channel, "beside")).await?;
        await_frame(&mut context.one, "message.new").await?;
        await_frame(&mut context.one, "message.new").await?;
    }
    let by = context.accounts[0].clone();
    let path = format!("/channels/{channel}/messages/{id}/thread");
    let first = call(&context.rest, Method::GET, &format!("{path}?limit=2"), &by, 200).await?;
    let cursor = first["next_cursor"].as_str().unwrap_or_default().to_owned();
    let second =
        call(&context.rest, Method::GET, &format!("{path}?limit=2&cursor={cursor}"), &by, 200).await?;
    let contents: Vec<Value> = [first, second]
        .iter()
        .flat_map(|part| part["items"].as_array().cloned().unwrap_or_default())
        .map(|item| item["content"].clone())
        .collect();
    expect(contents == ["reply 0", "reply 1", "reply 2"], || format!("the thread holds {contents:?}"))?;
    let around = format!("/channels/{channel}/messages?around={id}&limit=3");
    let around = call(&context.rest, Method::GET, &around, &by, 200).await?;
    let seqs: Vec<&Value> =
        around["items"].as_array().into_iter().flatten().map(|item| &item["seq"]).collect();
    expect(seqs == [&json!(3), &json!(2), &json!(1)], || format!("around the first stand {seqs:?}"))
}

pub(crate) async fn one_id_names_each_request_that_has_it(test_server: &TestServer) -> Result<(), Failed> {
    let mut context = set_up(test_server).await?;
    let (channel, id) = (context.channel, Uuid::new_v4());
    context.one.socket.send(&message(id, channel, "sent")).await?;
    let sent = await_frame(&mut context.two, "message.new").await?["message_id"].clone();
    let frame = |kind: &str, target: &Value, with: Value| {
        let mut payload = json!({ "channel_id": channel, "message_id": target });
        payload
            .as_object_mut()
            .into_iter()
            .for_each(|payload| payload.extend(with.as_object().cloned().unwrap_or_default()));
        json!({ "type": kind, "id": id, "payload": payload }).to_string()
    };
    let first = json!(context.message);
    for (kind, target, with, event) in [
        ("message.edit", &sent, json!({"content": "edited"}), "message.updated"),
        ("message.edit", &first, json!({"content": "edited, too"}), "message.updated"),
        ("reaction.add", &first, json!({"emoji": "👍"}), "reaction.updated"),
        ("reaction.add", &first, json!({"emoji": "🌹"}), "reaction.updated"),
        ("reaction.remove", &first, json!({"emoji": "👍"}), "reaction.updated"),
        ("message.delete", &sent, json!({}), "message.deleted"),
    ] {
        // A retry of each changes nothing more.
        for _ in 0..2 {
            context.one.socket.send(&frame(kind, target, with.clone())).await?;
        }
        let event = await_frame(&mut context.two, event).await?;
        expect(event["message_id"] == *target, || format!("{kind} came to {event}"))?;
    }
    let pin = json!({ "channel_id": channel, "message_id": first, "emoji": "⚓" });
    send_frame(&mut context.one, "reaction.add", &pin).await?;
    let last = await_frame(&mut context.two, "reaction.updated").await?;
    // The channel's making, the six, and this one.
    expect(last["change"] == 8 && last["emoji"] == "⚓", || format!("a retry was done again: {last}"))
}

/// More than a connection may leave unread, so no single page can hold it.
pub(crate) async fn a_sync_of_many_large_changes_ends(test_server: &TestServer) -> Result<(), Failed> {
    const EDITS: usize = 60;
    let mut context = set_up(test_server).await?;
    let target = json!({ "channel_id": context.channel, "message_id": context.message });
    for number in 0..EDITS {
        let mut payload = target.clone();
        payload["content"] = format!("{number} {}", "x".repeat(60_000)).into();
        send_frame(&mut context.one, "message.edit", &payload).await?;
        await_frame(&mut context.one, "message.updated").await?;
        await_frame(&mut context.two, "message.updated").await?;
    }
    let asked = json!({ "channels": [{ "channel_id": context.channel, "last_message_id": context.message, "last_change": 0 }] });
    send_frame(&mut context.two, "sync", &asked).await?;
    let (mut changes, mut pages) = (Vec::new(), 0);
    loop {
        let page = await_frame(&mut context.two, "sync.page").await?;
        changes.extend(
            page["changes"].as_array().into_iter().flatten().map(|frame| frame["payload"]["change"].clone()),
        );
        pages += 1;
        expect(page["reset"] == false, || "a gap of changes reset the channel".to_owned())?;
        if page["has_more"] == false {
            break;
        }
    }
    await_frame(&mut context.two, "sync.done").await?;
    // The channel's making is the first.
    let wanted: Vec<Value> = (1..=EDITS as u64 + 1).map(Into::into).collect();
    expect(changes == wanted && pages > 2, || format!("{pages} pages brought the changes {changes:?}"))
}
