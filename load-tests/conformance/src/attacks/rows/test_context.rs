//! The people of one attempt: somebody who tries, their victim, and a third, with a channel and a message of each of the first two.

use std::time::Instant;

use hyper::Method;
use ringside_test_client::rest::{Rest, Session};
use serde_json::{Value, json};
use tokio::time::sleep;
use uuid::Uuid;

use super::POLL;
use crate::attacks::{request, value};
use crate::test_server::{ANSWER_DEADLINE, Failed, expect};

/// A user and a session of theirs.
pub(super) struct Person {
    pub username: String,
    pub session: Session,
}

/// A channel with a message of its owner.
pub(super) struct OwnedChannel {
    pub channel: Uuid,
    pub message: String,
}

pub(super) struct TestContext {
    /// Part of every name in the context.
    pub tag: String,
    pub mallory: Person,
    pub victim: Person,
    pub friend: Person,
    /// Mallory's own channel, which the victim is in, and the other way round.
    pub own: OwnedChannel,
    pub theirs: OwnedChannel,
    /// An id that nothing has.
    pub unused_id: Uuid,
}

impl TestContext {
    pub(super) async fn make(rest: &Rest, tag: &str) -> Result<Self, Failed> {
        let person = async |name: &str| -> Result<Person, Failed> {
            let username = format!("{name}{tag}");
            Ok(Person { session: rest.sign_up(&username).await?, username })
        };
        let (mallory, victim) = (person("mallory").await?, person("victim").await?);
        let friend = person("friend").await?;
        let own = owned_channel(rest, &mallory, &victim).await?;
        let theirs = owned_channel(rest, &victim, &mallory).await?;
        let body = json!({ "user_id": mallory.session.account.user_id });
        let token = Some(victim.session.account.access_token.as_str());
        let asked = request(rest, Method::POST, "/users/me/contacts", token, Some(body)).await?;
        expect((200..300).contains(&asked.status), || format!("a contact was answered {}", asked.status))?;
        let unused_id = Uuid::new_v4();
        Ok(Self { tag: tag.to_owned(), mallory, victim, friend, own, theirs, unused_id })
    }

    pub(super) fn people(&self) -> [&Person; 3] {
        [&self.mallory, &self.victim, &self.friend]
    }

    /// The path with Mallory's own channel and message, and the victim, in it.
    pub(super) fn fill(&self, path: &str) -> Result<String, Failed> {
        let filled = fill(path, &self.own, self.victim.session.account.user_id);
        let path = filled.trim_start_matches("/api/v1").to_owned();
        expect(!path.contains('{'), || format!("nothing is known to stand in {path}"))?;
        Ok(path)
    }

    /// The path with everything that there is, each once.
    pub(super) fn fill_with_all(&self, path: &str) -> Vec<String> {
        let mut paths = Vec::new();
        for owned_channel in [&self.own, &self.theirs] {
            for person in self.people() {
                let filled = fill(path, owned_channel, person.session.account.user_id);
                if !paths.contains(&filled) {
                    paths.push(filled);
                }
            }
        }
        paths
    }

    /// A message behind what was done: once it can be read, all before it has been taken in.
    pub(super) async fn settle(&self, rest: &Rest) -> Result<(), Failed> {
        let path = format!("/channels/{}/messages", self.own.channel);
        let token = Some(self.victim.session.account.access_token.as_str());
        let body = json!({ "content": "behind", "content_type": "text" });
        let said = request(rest, Method::POST, &path, token, Some(body)).await?;
        if said.status >= 400 {
            return Ok(());
        }
        let id = value(&said)["message_id"].clone();
        let since = Instant::now();
        loop {
            let read = value(&request(rest, Method::GET, &path, token, None).await?);
            if read["items"].as_array().into_iter().flatten().any(|item| item["message_id"] == id) {
                return Ok(());
            }
            expect(since.elapsed() < ANSWER_DEADLINE, || format!("message {id} is not in the history"))?;
            sleep(POLL).await;
        }
    }
}

fn fill(path: &str, owned_channel: &OwnedChannel, user: Uuid) -> String {
    path.replace("{channel_id}", &owned_channel.channel.to_string())
        .replace("{message_id}", &owned_channel.message)
        .replace("{user_id}", &user.to_string())
        .replace("{emoji}", "+1")
}

async fn owned_channel(rest: &Rest, owner: &Person, other: &Person) -> Result<OwnedChannel, Failed> {
    let token = &owner.session.account.access_token;
    let name = format!("of {}", owner.username);
    let channel = rest.create_channel(token, "group", &name, &[other.session.account.user_id]).await?;
    let path = format!("/channels/{channel}/messages");
    let body = json!({ "content": "hello", "content_type": "text" });
    let said: Value = value(&request(rest, Method::POST, &path, Some(token), Some(body)).await?);
    let message = said["message_id"].as_str().unwrap_or_default().to_owned();
    expect(!message.is_empty(), || format!("a message was answered {said}"))?;
    Ok(OwnedChannel { channel, message })
}
