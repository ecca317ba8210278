//! Unread counts under any interleaving: two devices of one user, another who sends and deletes, a third who joins, leaves
//! and comes back. After every step that was acknowledged, everybody's count is counted anew from the whole history.
//!
//! What happens comes from a seed; each seed has people and a channel of its own, and all go at once.

use std::collections::BTreeSet;

use futures_util::future::try_join_all;
use hyper::Method;
use rand::rngs::SmallRng;
use rand::{RngExt, SeedableRng};
use ringside_test_client::rest::Account;
use ringside_test_client::server::ServerProcess;
use ringside_test_client::websocket::Incoming;
use serde_json::{Value, json};
use uuid::Uuid;

use crate::test_server::{Client, Failed, TestServer, call, expect, message, send_frame};

const SEEDS: std::ops::Range<u64> = 1..7;
const STEPS: usize = 48;
const JOINERS: u32 = 30;
/// Messages under way while somebody joins.
const BACKLOG: u64 = 20;

/// One member, as the arithmetic of the contract sees them.
struct Reader {
    account: Account,
    devices: Vec<Client>,
    /// The greatest seq that was read, sending included.
    read: u64,
    /// The head's seq when the member joined; none: not a member.
    joined: Option<u64>,
}

struct Scenario<'s> {
    server: &'s ServerProcess,
    channel: Uuid,
    random: SmallRng,
    /// Ada with two devices; Bob, who owns the channel; Cyd, who comes and goes.
    readers: [Reader; 3],
    /// Ids by seq, from 1 on.
    ids: Vec<String>,
    /// Seqs of those that were deleted.
    deleted: BTreeSet<usize>,
    done: Vec<String>,
}

const ADA: usize = 0;
const BOB: usize = 1;
const CYD: usize = 2;

pub(crate) async fn unread_is_a_recount_after_any_interleaving(
    test_server: &TestServer,
) -> Result<(), Failed> {
    let limits =
        ["register_per_minute_per_address", "rest_per_minute", "messages_per_second", "channels_per_minute"];
    let server = test_server.start(&limits.map(|name| (name, 0))).await?;
    let server = &server;
    let scenarios = SEEDS.map(|seed| async move {
        let mut scenario = Scenario::begin(server, seed).await?;
        for _ in 0..STEPS {
            if let Err(Failed(reason)) = scenario.step().await {
                let steps = scenario.done.join(", ");
                return Err(Failed(format!("seed {seed}: {reason}; done: {steps}")));
            }
        }
        Ok(())
    });
    try_join_all(scenarios).await.map(drop)
}

/// Membership is confirmed before the partition has come to its record: who asks in between has neither the count nor
/// the sight of what was said before.
pub(crate) async fn who_has_just_joined_starts_at_the_head(test_server: &TestServer) -> Result<(), Failed> {
    let limits =
        ["register_per_minute_per_address", "rest_per_minute", "messages_per_second", "channels_per_minute"];
    let server = test_server.start(&limits.map(|name| (name, 0))).await?;
    let rest = server.addresses.rest();
    let owner = rest.register("owner").await?;
    let channel = rest.create_channel(&owner.access_token, "group", "from now on", &[]).await?;
    let path = format!("/api/v1/channels/{channel}");
    let settings = json!({ "settings": { "history_for_joiners": "from_join" } });
    let set = rest.call(Method::PATCH, &path, Some(&owner.access_token), Some(&settings)).await?;
    expect(set.status == 200, || format!("the settings were answered {}", set.status))?;
    let mut client = Client::open(&server.addresses.target(), &owner).await?;
    for _ in 0..5 {
        client.say(channel, "before").await?;
    }
    for number in 0..JOINERS {
        let joiner = rest.register(&format!("joiner{number}")).await?;
        // Many records before theirs, so that the partition is not there yet.
        for _ in 0..BACKLOG {
            client.socket.queue(&message(Uuid::new_v4(), channel, "more"));
        }
        client.socket.flush().await?;
        rest.add_member(&owner.access_token, channel, joiner.user_id).await?;
        let listed = rest.unread(&joiner.access_token).await?;
        let read = rest.history(&joiner.access_token, channel).await?;
        let frame = listed.iter().find(|it| it.channel == channel);
        expect(frame.is_some_and(|frame| frame.count <= BACKLOG), || {
            format!("joiner {number} is told {frame:?}, and reads {} messages", read.len())
        })?;
        expect(!read.iter().any(|message| message.content == "before"), || {
            format!("joiner {number} reads {} messages from before", read.len())
        })?;
    }
    Ok(())
}

impl<'s> Scenario<'s> {
    async fn begin(server: &'s ServerProcess, seed: u64) -> Result<Self, Failed> {
        let (rest, target) = (server.addresses.rest(), server.addresses.target());
        let mut accounts = Vec::new();
        for name in ["ada", "bob", "cyd"] {
            accounts.push(rest.register(&format!("{name}{seed}")).await?);
        }
        let owner = &accounts[BOB].access_token;
        let channel = rest.create_channel(owner, "group", "unread", &[accounts[ADA].user_id]).await?;
        let mut readers = Vec::new();
        for (who, account) in accounts.into_iter().enumerate() {
            let mut devices = Vec::new();
            for _ in 0..[2, 1, 1][who] {
                devices.push(Client::open(&target, &account).await?);
            }
            readers.push(Reader { account, devices, read: 0, joined: (who != CYD).then_some(0) });
        }
        let readers = readers.try_into().map_err(|_| Failed("there are three".into()))?;
        let random = SmallRng::seed_from_u64(seed);
        Ok(Self {
            server,
            channel,
            random,
            readers,
            ids: Vec::new(),
            deleted: BTreeSet::new(),
            done: Vec::new(),
        })
    }

    async fn step(&mut self) -> Result<(), Failed> {
        let head = self.ids.len() as u64;
        let device = self.random.random_range(0..2usize);
        match self.random.random_range(0..100u32) {
            0..=34 => self.send(BOB, 0).await?,
            35..=49 => self.send(ADA, device).await?,
            50..=64 if head > 0 => {
                let seq = self.random.random_range(1..=head);
                self.read(ADA, device, seq).await?;
            }
            65..=71 if head > 0 => self.read(ADA, device, head).await?,
            72..=77 if head > 0 && self.readers[CYD].joined.is_some() => {
                let seq = self.random.random_range(1..=head);
                self.read(CYD, 0, seq).await?;
            }
            78..=85 if head > 0 => self.delete().await?,
            86..=90 => self.reconnect(device).await?,
            91.. => self.join_or_leave().await?,
            _ => return Ok(()),
        }
        self.recount().await
    }

    async fn send(&mut self, who: usize, device: usize) -> Result<(), Failed> {
        self.done.push(format!("{who} sends on device {device}"));
        let id = Uuid::new_v4();
        let client = &mut self.readers[who].devices[device];
        client.socket.send(&message(id, self.channel, "words")).await?;
        let new =
            await_matching(client, |kind, it| kind == "message.new" && it["client_id"] == json!(id)).await?;
        self.ids.push(new["message_id"].as_str().unwrap_or_default().to_owned());
        let head = self.ids.len() as u64;
        expect(new["seq"] == head, || format!("message {head} is {new}"))?;
        self.readers[who].read = head;
        Ok(())
    }

    /// Acknowledged once the status comes, on every device of the reader; it names the greatest that was read.
    async fn read(&mut self, who: usize, device: usize, seq: u64) -> Result<(), Failed> {
        self.done.push(format!("{who} reads {seq} on device {device}"));
        let payload = json!({ "channel_id": self.channel, "message_id": self.ids[seq as usize - 1] });
        let reader = &mut self.readers[who];
        send_frame(&mut reader.devices[device], "message.read", &payload).await?;
        reader.read = reader.read.max(seq);
        let (user, wanted) = (json!(reader.account.user_id), &self.ids[reader.read as usize - 1]);
        for client in &mut reader.devices {
            let status =
                await_matching(client, |kind, it| kind == "message.status" && it["user_id"] == user).await?;
            expect(status["last_read_id"] == **wanted, || format!("{status} instead of {wanted}"))?;
        }
        Ok(())
    }

    /// A deleted message keeps its number. Whose it is does not matter: the owner may.
    async fn delete(&mut self) -> Result<(), Failed> {
        let seq = self.random.random_range(1..=self.ids.len());
        self.done.push(format!("message {seq} is deleted"));
        let id = self.ids[seq - 1].clone();
        let rest = self.server.addresses.rest();
        let token = Some(self.readers[BOB].account.access_token.as_str());
        let path = format!("/api/v1/channels/{}/messages/{id}", self.channel);
        let deleted = rest.call(Method::DELETE, &path, token, None).await?;
        let is_done = (200..300).contains(&deleted.status);
        if !self.deleted.insert(seq) {
            // Once more changes nothing, and nobody is told.
            return expect(is_done || deleted.status == 404, || format!("again: {}", deleted.status));
        }
        expect(is_done, || format!("the deletion was answered {}", deleted.status))?;
        let bob = &mut self.readers[BOB].devices[0];
        await_matching(bob, |kind, it| kind == "message.deleted" && it["message_id"] == *id).await.map(drop)
    }

    async fn reconnect(&mut self, device: usize) -> Result<(), Failed> {
        self.done.push(format!("device {device} comes back"));
        let target = self.server.addresses.target();
        let ada = &mut self.readers[ADA];
        ada.devices[device] = Client::open(&target, &ada.account).await?;
        Ok(())
    }

    async fn join_or_leave(&mut self) -> Result<(), Failed> {
        let rest = self.server.addresses.rest();
        let (user, owner) = (self.readers[CYD].account.user_id, &self.readers[BOB].account);
        if self.readers[CYD].joined.take().is_some() {
            self.done.push("Cyd leaves".into());
            let path = format!("/channels/{}/members/{user}", self.channel);
            return call(&rest, Method::DELETE, &path, owner, 204).await.map(drop);
        }
        self.done.push("Cyd joins".into());
        rest.add_member(&owner.access_token, self.channel, user).await?;
        self.readers[CYD].joined = Some(self.ids.len() as u64);
        Ok(())
    }

    /// The whole history, one by one, against the list of channels and `sync.done` on every device.
    async fn recount(&mut self) -> Result<(), Failed> {
        let rest = self.server.addresses.rest();
        let history = rest.history(&self.readers[BOB].account.access_token, self.channel).await?;
        expect(history.len() == self.ids.len(), || format!("the history holds {} messages", history.len()))?;
        for (who, reader) in self.readers.iter_mut().enumerate() {
            let token = &reader.account.access_token;
            let listed = rest.unread(token).await?;
            let listed = listed.iter().find(|it| it.channel == self.channel);
            let Some(joined) = reader.joined else {
                expect(listed.is_none(), || format!("{who} is out and is told {listed:?}"))?;
                continue;
            };
            let seen = joined.max(reader.read);
            let unread = history.iter().filter(|message| message.seq > seen).count() as u64;
            expect(listed.is_some_and(|listed| listed.count == unread), || {
                format!(
                    "{unread} are unread to {who}, who joined at {joined} and read {}; the list says {listed:?}",
                    reader.read
                )
            })?;
            let cursors = rest.receipts(token, self.channel).await?;
            let own = cursors.iter().find(|cursor| cursor.user_id == reader.account.user_id);
            let read = reader.read.checked_sub(1).and_then(|at| self.ids[at as usize].parse::<u64>().ok());
            expect(own.is_some_and(|own| own.read == read), || {
                format!("{who} has read up to {read:?}; the list of receipts says {own:?}")
            })?;
            for client in &mut reader.devices {
                let asked = json!({ "channel_id": self.channel, "last_message_id": self.ids.last() });
                send_frame(client, "sync", &json!({ "channels": [asked] })).await?;
                let done = await_matching(client, |kind, _| kind == "sync.done").await?;
                expect(done["channels"][0]["unread_count"] == unread, || {
                    format!("{unread} are unread to {who}; sync.done says {done}")
                })?;
            }
        }
        Ok(())
    }
}

/// The payload of the next frame of which this holds; an error on the way is a failure.
async fn await_matching(client: &mut Client, holds: impl Fn(&str, &Value) -> bool) -> Result<Value, Failed> {
    loop {
        let Incoming::Text(text) = client.incoming().await? else {
            return Err(Failed("the server closed".into()));
        };
        let frame: Value = serde_json::from_slice(&text)?;
        let kind = frame["type"].as_str().unwrap_or_default();
        if holds(kind, &frame["payload"]) {
            return Ok(frame["payload"].clone());
        }
        expect(!matches!(kind, "error" | "message.rejected"), || format!("told {frame}"))?;
    }
}
