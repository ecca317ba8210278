//! What clients see of users, channels, members and messages.

use std::time::{SystemTime, UNIX_EPOCH};

use ringside_domain::rows::MessageRow;
use ringside_ports::accounts::User;
use ringside_ports::channels::{Channel, ChannelSettings, Member};
use ringside_ports::service::{ServiceError, SignedIn, UserService};
use ringside_types::{MessageId, UnixMillis, UserId};
use ringside_wire::event::SettingsView;
use ringside_wire::message::{Message, Sender, metadata};
use serde_json::{Value, json};

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

/// The wall clock, for what is shown.
fn now() -> UnixMillis {
    let since = SystemTime::now().duration_since(UNIX_EPOCH);
    UnixMillis(since.map_or(0, |since| since.as_millis() as u64))
}

pub(crate) fn member(member: &Member) -> Value {
    json!({
        "channel_id": member.channel_id,
        "user_id": member.user_id,
        "role": member.role.name(),
        "joined_at": member.joined_at,
    })
}

/// Messages as `message.new` payloads, their senders as they are now.
pub(crate) async fn messages<U: UserService>(
    users: &U,
    rows: &[MessageRow],
) -> Result<Vec<Value>, ServiceError> {
    let mut ids: Vec<UserId> = rows.iter().map(|row| row.sender_id).collect();
    ids.sort_unstable();
    ids.dedup();
    let senders = if ids.is_empty() { Vec::new() } else { users.users(&ids).await? };
    Ok(rows.iter().map(|row| message(row, senders.iter().find(|user| user.id == row.sender_id))).collect())
}

fn message(row: &MessageRow, sender: Option<&User>) -> Value {
    let text = |field: fn(&User) -> &str| sender.map_or("", field).into();
    let message = Message {
        message_id: row.message_id,
        seq: row.seq,
        client_id: row.client_id,
        channel_id: row.channel_id,
        sender: Sender {
            id: row.sender_id,
            username: text(|user| &user.username),
            display_name: text(|user| &user.display_name),
            avatar_url: sender.and_then(avatar).map(Into::into),
        },
        content: row.content.as_str().into(),
        content_type: row.content_type,
        reply_to: row.reply_to.non_zero(),
        metadata: metadata(&row.metadata),
        created_at: row.message_id.time(),
        edited_at: row.edited_record.non_zero().map(MessageId::time),
        deleted: row.is_deleted(),
    };
    serde_json::to_value(message).expect("a message serializes")
}
