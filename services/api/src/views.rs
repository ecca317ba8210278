//! What clients see of users, channels, members and messages.

use ringside_application::service::{
    ChannelService as _, MessageService as _, ServiceError, SignedIn, UserService,
};
use ringside_clock::now;
use ringside_domain::reactions::ReactionSummary;
use ringside_domain::view::MessageView;
use ringside_ports::accounts::User;
use ringside_ports::channels::{Channel, ChannelKind, ChannelSettings, Member};
use ringside_types::{ChannelId, UnixMillis, UserId};
use ringside_wire::event::SettingsView;
use ringside_wire::message::{Message, Sender};
use serde_json::{Value, json};

use crate::services::Services;

/// A user as others see them: never the e-mail address.
pub(crate) fn public_user(user: &User) -> Value {
    json!({
        "id": user.id,
        "username": user.username,
        "display_name": user.display_name,
        "avatar_url": avatar(user),
        "created_at": user.created_at,
    })
}

/// A user as they see themselves.
pub(crate) fn own_user(user: &User) -> Value {
    let mut view = public_user(user);
    view["email"] = user.email.clone().into();
    view
}

/// Who somebody is, as with their messages.
fn person(user: &User) -> Value {
    json!({
        "id": user.id,
        "username": user.username,
        "display_name": user.display_name,
        "avatar_url": avatar(user),
    })
}

fn avatar(user: &User) -> Option<&str> {
    (!user.avatar_url.is_empty()).then_some(user.avatar_url.as_str())
}

pub(crate) fn signed_in(signed: &SignedIn) -> Value {
    json!({
        "user": own_user(&signed.user),
        "access_token": signed.access_token,
        "refresh_token": signed.refresh_token,
        "expires_in": signed.expires_in,
    })
}

/// Channels as the caller sees them; a DM with whom it joins them with.
pub(crate) async fn channels<S: Services>(
    services: &S,
    caller: UserId,
    channels: &[(&Channel, Option<&Member>)],
) -> Result<Vec<Value>, ServiceError> {
    let dms: Vec<ChannelId> = channels
        .iter()
        .filter(|(channel, _)| channel.kind == ChannelKind::Dm)
        .map(|(channel, _)| channel.id)
        .collect();
    let peers = if dms.is_empty() { Vec::new() } else { services.channels().peers(caller, &dms).await? };
    let ids: Vec<UserId> = peers.iter().map(|(_, peer)| *peer).collect();
    let users = users(services.users(), ids).await?;
    let views = channels.iter().map(|(of, membership)| {
        let mut view = channel(of, *membership);
        let peer = peers.iter().find(|(id, _)| *id == of.id).map(|(_, peer)| *peer);
        if let Some(user) = users.iter().find(|user| Some(user.id) == peer) {
            view["peer"] = person(user);
        }
        view
    });
    Ok(views.collect())
}

/// One channel as the caller sees it.
pub(crate) async fn own_channel<S: Services>(
    services: &S,
    caller: UserId,
    channel: &Channel,
    membership: Option<&Member>,
) -> Result<Value, ServiceError> {
    let mut views = channels(services, caller, &[(channel, membership)]).await?;
    Ok(views.pop().unwrap_or(Value::Null))
}

/// A channel; with what the caller is in it, where they are.
pub(crate) fn channel(channel: &Channel, membership: Option<&Member>) -> Value {
    let ChannelSettings { slow_mode_s, admins_post, history_from_join } = channel.settings;
    let mut view = json!({
        "id": channel.id,
        "name": channel.name,
        "type": channel.kind.name(),
        "creator_id": channel.creator_id,
        "description": channel.description,
        "created_at": channel.created_at,
        "topic": channel.topic,
        "settings": SettingsView::new(slow_mode_s, admins_post, history_from_join),
    });
    if let Some(member) = membership {
        view["role"] = member.role.name().into();
        // A mute that is over is none.
        let until = member.muted_until.filter(|until| *until > now());
        view["muted"] = until.is_some().into();
        view["muted_until"] =
            until.filter(|until| *until < UnixMillis::MAX).map(|until| until.to_string()).into();
    }
    view
}

/// Members, with who they are.
pub(crate) async fn members<U: UserService>(
    service: &U,
    members: &[Member],
) -> Result<Vec<Value>, ServiceError> {
    let users = users(service, members.iter().map(|member| member.user_id).collect()).await?;
    let views = members.iter().map(|of| {
        let mut view = member(of);
        if let Some(user) = users.iter().find(|user| user.id == of.user_id) {
            view["user"] = person(user);
        }
        view
    });
    Ok(views.collect())
}

pub(crate) fn member(member: &Member) -> Value {
    json!({
        "channel_id": member.channel_id,
        "user_id": member.user_id,
        "role": member.role.name(),
        "joined_at": member.joined_at,
    })
}

/// Messages of one channel as `message.new` payloads, their senders as they are now, with the reactions on them.
pub(crate) async fn messages<S: Services>(
    services: &S,
    caller: UserId,
    messages: &[MessageView<'_>],
) -> Result<Vec<Value>, ServiceError> {
    let senders = senders(services.users(), messages).await?;
    let tallies = services.messages().reactions(caller, messages).await?;
    Ok(messages.iter().map(|view| message(view, &senders, &tallies)).collect())
}

/// The same without reactions, for messages of any channels.
pub(crate) async fn bare_messages<U: UserService>(
    users: &U,
    messages: &[MessageView<'_>],
) -> Result<Vec<Value>, ServiceError> {
    let senders = senders(users, messages).await?;
    Ok(messages.iter().map(|view| message(view, &senders, &[])).collect())
}

async fn senders<U: UserService>(
    service: &U,
    messages: &[MessageView<'_>],
) -> Result<Vec<User>, ServiceError> {
    users(service, messages.iter().map(|view| view.sender_id).collect()).await
}

/// The accounts with these ids, each once.
async fn users<U: UserService>(service: &U, mut ids: Vec<UserId>) -> Result<Vec<User>, ServiceError> {
    ids.sort_unstable();
    ids.dedup();
    if ids.is_empty() { Ok(Vec::new()) } else { service.users(&ids).await }
}

fn message(view: &MessageView<'_>, senders: &[User], tallies: &[ReactionSummary]) -> Value {
    let sender = senders.iter().find(|user| user.id == view.sender_id);
    let text = |field: fn(&User) -> &str| sender.map_or("", field).into();
    let sender = Sender {
        id: view.sender_id,
        username: text(|user| &user.username),
        display_name: text(|user| &user.display_name),
        avatar_url: sender.and_then(avatar).map(Into::into),
    };
    let message = view.to_message(sender, tallies);
    // What was stored before metadata was checked on its way in may be more than a parser takes; the message is not.
    serde_json::to_value(&message).unwrap_or_else(|_| {
        let bare = Message { metadata: None, ..message };
        serde_json::to_value(bare).expect("text, ids and times serialize")
    })
}
