//! What an edge is told of those who send to a channel.

use bytes::Bytes;
use ringside_clock::now;
use ringside_domain::rows::{Key, Prefetch};
use ringside_ports::channels::Role;
use ringside_ports::{ChannelReader, EngineError, MembershipReader, UserReader};
use ringside_types::authorization::Operation;
use ringside_types::{ChannelId, UserId};
use ringside_wire::records::{Command, command};

use crate::backend::{SenderAnswer, SenderRequest};
use crate::mentions::members_named;
use crate::policy::ChannelPolicy;

/// What is known of a sender. What an engine does not say is an error in its own field, and concerns this sender alone.
pub async fn answer<S: ChannelReader, D: UserReader + MembershipReader>(
    store: &S,
    directory: &D,
    asked: SenderRequest,
) -> SenderAnswer {
    let SenderRequest { user_id, channel_id, commands, names } = asked;
    let access = access(directory, channel_id, user_id).await;
    let is_open = matches!(&access, Ok(Some((_, policy))) if policy.is_open_to(Operation::Send));
    let are_repetitions = if is_open { Ok(Vec::new()) } else { are_repetitions(store, &commands).await };
    let named = members_named(directory, channel_id, &names).await;
    SenderAnswer {
        access: access.map_err(Into::into),
        are_repetitions: are_repetitions.map_err(Into::into),
        named: named.map_err(Into::into),
    }
}

async fn access<D: MembershipReader>(
    directory: &D,
    channel: ChannelId,
    user: UserId,
) -> Result<Option<(Role, ChannelPolicy)>, EngineError> {
    let membership = directory.membership(&[(channel, user)]).await?.into_iter().next().flatten();
    let Some(member) = membership else { return Ok(None) };
    let channels = directory.channels(&[channel]).await?;
    Ok(channels.first().map(|channel| (member.role, ChannelPolicy::from(channel))))
}

/// Which of the commands the store has: a retry is acknowledged like the first, though its sender was removed, or would
/// have to wait in slow mode.
async fn are_repetitions<S: ChannelReader>(store: &S, commands: &[Bytes]) -> Result<Vec<bool>, EngineError> {
    let key = |command: &Bytes| match ringside_wire::decode(command.clone()) {
        Ok(Command { body: Some(command::Body::Send(send)) }) => Key::of(&send).ok(),
        _ => None,
    };
    let keys: Vec<_> = commands.iter().map(key).collect();
    let wanted = Prefetch { keys: keys.iter().flatten().copied().collect(), ..Prefetch::default() };
    let made = store.load(&wanted).await?.keys;
    let now = now();
    let is_made = |key: Key| made.iter().any(|row| row.key == key && row.is_current(now));
    Ok(keys.into_iter().map(|key| key.is_some_and(is_made)).collect())
}
