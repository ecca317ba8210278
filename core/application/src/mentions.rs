//! Whom a text mentions: the names in it, looked up among a channel's members. The edges and the API ask it the same way,
//! before the message goes to the log.

use ringside_types::{ChannelId, UserId};
use ringside_wire::mention::{self, Mentions};

use ringside_ports::{Accounts, Channels, EngineError};

/// The members of a channel whom a text names.
pub async fn in_text<D: Accounts + Channels>(
    directory: &D,
    channel: ChannelId,
    text: &str,
) -> Result<Mentions, EngineError> {
    let mut names = mention::names(text);
    let count = names.len();
    names.retain(|name| name != mention::EVERYONE);
    let everyone = names.len() < count;
    if names.is_empty() {
        return Ok(Mentions { users: Vec::new(), everyone });
    }
    let mut named: Vec<UserId> =
        directory.users_named(&names).await?.into_iter().map(|user| user.id).collect();
    named.sort_unstable();
    let asked: Vec<_> = named.iter().map(|user| (channel, *user)).collect();
    let members = directory.membership(&asked).await?.into_iter().flatten();
    Ok(Mentions { users: members.map(|member| member.user_id).collect(), everyone })
}

/// A message's metadata with whom its text names, whatever it said of that before; `None`: it stays as it is.
pub async fn with_mentions<D: Accounts + Channels>(
    directory: &D,
    channel: ChannelId,
    text: &str,
    metadata: &str,
) -> Result<Option<String>, EngineError> {
    if !mention::may_mention(text, metadata) {
        return Ok(None);
    }
    let mentions = in_text(directory, channel, text).await?;
    // Of a text that names nobody, metadata must say so, too.
    let says_nothing = mentions.is_empty() && !mention::may_mention("", metadata);
    Ok((!says_nothing).then(|| mentions.written_into(metadata)))
}
