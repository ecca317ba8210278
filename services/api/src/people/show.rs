//! What clients see of profiles, contacts, blocks, sessions and the audit log.

use ringside_application::service::people::VisibleProfile;
use ringside_ports::channels::invitations::ChannelInvitation;
use ringside_ports::people::profiles::{AuditEntry, Profile};
use ringside_ports::people::relations::{Block, Contact};
use ringside_ports::people::sessions::Session;
use ringside_types::{SessionId, UserId};
use serde_json::{Value, json};

use crate::views::{channel, own_user, public_user};

/// One's own profile: everything but the password's hash.
pub(crate) fn own(profile: &Profile) -> Value {
    let mut view = own_user(&profile.user);
    view["status_message"] = profile.status_message.clone().into();
    view["status_expires_at"] = json!(profile.status_expires_at);
    view["settings"] = serde_json::from_str(&profile.settings).unwrap_or_else(|_| json!({}));
    view["role"] = profile.role.name().into();
    view["updated_at"] = json!(profile.updated_at);
    view
}

/// Someone else's profile: the e-mail address only where they show it.
pub(crate) fn seen(seen: &VisibleProfile) -> Value {
    let profile = &seen.profile;
    let mut view = public_user(&profile.user);
    view["status_message"] = profile.status_message.clone().into();
    if seen.sees_email {
        view["email"] = profile.user.email.clone().into();
    }
    if profile.erased_at.is_some() {
        view["deleted"] = true.into();
    }
    view
}

/// The profile of this user among these.
fn user_of(users: &[VisibleProfile], id: UserId) -> Value {
    users.iter().find(|one| one.profile.user.id == id).map_or(Value::Null, seen)
}

/// A contact, for a list: with the profile of the other, who is among these.
pub(crate) fn contact(contact: &Contact, users: &[VisibleProfile]) -> Value {
    let mut view = bare_contact(contact);
    view["user"] = user_of(users, contact.user_id);
    view
}

/// A contact by itself.
pub(crate) fn bare_contact(contact: &Contact) -> Value {
    json!({
        "user_id": contact.user_id,
        "state": contact.state.name(),
        "created_at": contact.created_at,
        "accepted_at": contact.accepted_at,
    })
}

/// A block, for a list: with the profile of the other, who is among these.
pub(crate) fn block(block: &Block, users: &[VisibleProfile]) -> Value {
    let mut view = bare_block(block);
    view["user"] = user_of(users, block.user_id);
    view
}

/// A block by itself.
pub(crate) fn bare_block(block: &Block) -> Value {
    json!({"user_id": block.user_id, "created_at": block.created_at})
}

/// An invitation into a channel, for a list: with the profile of who invited, who is among these.
pub(crate) fn channel_invitation(invitation: &ChannelInvitation, users: &[VisibleProfile]) -> Value {
    let mut view = bare_channel_invitation(invitation);
    view["inviter"] = user_of(users, invitation.inviter_id);
    view
}

/// An invitation into a channel by itself.
pub(crate) fn bare_channel_invitation(invitation: &ChannelInvitation) -> Value {
    json!({
        "channel": channel(&invitation.channel, None),
        "inviter_id": invitation.inviter_id,
        "created_at": invitation.created_at,
    })
}

pub(crate) fn session(session: &Session, current: SessionId) -> Value {
    json!({
        "id": session.id,
        "device": session.device,
        "created_at": session.created_at,
        "last_used_at": session.used_at,
        "expires_at": session.expires_at,
        "current": session.id == current,
    })
}

pub(crate) fn audit(entry: &AuditEntry) -> Value {
    json!({
        "at": entry.at,
        "action": entry.action,
        "by": if entry.actor_id == Some(entry.subject_id) { "you" } else { "the operator" },
    })
}
