//! Whom a text mentions: the names in it, looked up among a channel's members. Edges and the API do it alike, before the
//! message goes to the log; an edge remembers the members that it has looked up, REST asks each time.

use bytes::Bytes;
use ringside_ports::{EngineError, MembershipReader, UserReader};
use ringside_types::{ChannelId, UserId};
use ringside_wire::mention::{self, Mentions};
use ringside_wire::records::{Amend, Command, amend, command};

/// A command with a text that may name members.
#[derive(Debug)]
pub struct NamingCommand {
    body: command::Body,
    named: Named,
}

impl NamingCommand {
    /// Reads an encoded `Command`; `None`: it has no text.
    pub fn read(record: &Bytes) -> Option<Self> {
        let body = ringside_wire::decode::<Command>(record.clone()).ok()?.body?;
        let named = match &body {
            command::Body::Send(send) => Named::by(&send.content),
            command::Body::Amend(Amend { change: Some(amend::Change::Content(text)), .. }) => Named::by(text),
            _ => return None,
        };
        Some(Self { body, named })
    }

    /// Whether it is a change of a message, which has mentions already.
    pub fn is_edit(&self) -> bool {
        matches!(self.body, command::Body::Amend(_))
    }

    /// The names in its text, in lower case and each once.
    pub fn names(&self) -> &[String] {
        &self.named.names
    }

    /// The record with whom the names stand for, whatever it said of that before.
    pub fn encode(mut self, users: Vec<UserId>) -> Bytes {
        let mentions = self.named.mentions(users);
        match &mut self.body {
            command::Body::Send(send) => {
                if let Some(metadata) = metadata_with(&mentions, &send.metadata) {
                    send.metadata = metadata;
                }
            }
            command::Body::Amend(amend) => amend.mentions = Some(mentions.to_record()),
            _ => {}
        }
        ringside_wire::encode(&Command { body: Some(self.body) })
    }
}

/// What a text says after its `@`s.
#[derive(Debug)]
struct Named {
    names: Vec<String>,
    everyone: bool,
}

impl Named {
    fn by(text: &str) -> Self {
        let mut names = mention::names(text);
        let count = names.len();
        names.retain(|name| name != mention::EVERYONE);
        let everyone = names.len() < count;
        Self { names, everyone }
    }

    fn mentions(&self, mut users: Vec<UserId>) -> Mentions {
        users.sort_unstable();
        Mentions { users, everyone: self.everyone }
    }
}

/// A message's metadata with its mentions; `None`: it stays as it is.
fn metadata_with(mentions: &Mentions, metadata: &str) -> Option<String> {
    // Of a text that names nobody, metadata must say so, too.
    let says_nothing = mentions.is_empty() && !mention::may_mention("", metadata);
    (!says_nothing).then(|| mentions.written_into(metadata))
}

/// The members of a channel with these names (in lower case), each beside its name; others are absent.
pub async fn members_named<D: UserReader + MembershipReader>(
    directory: &D,
    channel: ChannelId,
    names: &[String],
) -> Result<Vec<(String, UserId)>, EngineError> {
    if names.is_empty() {
        return Ok(Vec::new());
    }
    let users = directory.users_named(names).await?;
    let asked: Vec<_> = users.iter().map(|user| (channel, user.id)).collect();
    let memberships = directory.membership(&asked).await?;
    let members = users.into_iter().zip(memberships).filter(|(_, membership)| membership.is_some());
    Ok(members.map(|(user, _)| (user.username.to_ascii_lowercase(), user.id)).collect())
}

/// The members of a channel whom a text names.
pub async fn in_text<D: UserReader + MembershipReader>(
    directory: &D,
    channel: ChannelId,
    text: &str,
) -> Result<Mentions, EngineError> {
    let named = Named::by(text);
    let members = members_named(directory, channel, &named.names).await?;
    Ok(named.mentions(members.into_iter().map(|(_, user)| user).collect()))
}

/// A message's metadata with whom its text names, whatever it said of that before; `None`: it stays as it is.
pub async fn with_mentions<D: UserReader + MembershipReader>(
    directory: &D,
    channel: ChannelId,
    text: &str,
    metadata: &str,
) -> Result<Option<String>, EngineError> {
    if !mention::may_mention(text, metadata) {
        return Ok(None);
    }
    Ok(metadata_with(&in_text(directory, channel, text).await?, metadata))
}
