//! Frames as bytes: JSON, and the WebSocket header before it.

pub(crate) mod pages;

use ringside_types::{ChannelId, CloseCode, MessageId, UnixMillis, UserId};
use ringside_websocket::{Opcode, write_close, write_frame};
use ringside_wire::amendment::{Deleted, Hidden, PinChanged, ReactionUpdated, Updated};
use ringside_wire::event::{
    self, ChannelChanged, ChannelView, Event, Goodbye, GoodbyeReason, MemberChanged, Rejected, SettingsView,
};
use ringside_wire::message::Message;
use ringside_wire::records::Rejection;
use ringside_wire::records::{Amended, Effective, Membership, MembershipKind, Reacted, amended, effective};
use ringside_wire::{InvalidRecord, client_id, message, user_id};

use crate::limits::RETRY_AFTER_MS;

/// Appends an event as one text frame.
pub fn write(out: &mut Vec<u8>, scratch: &mut Vec<u8>, id: Option<&str>, event: &Event<'_>) {
    scratch.clear();
    event::write(scratch, id, event);
    write_frame(out, Opcode::Text, scratch, None);
}

/// Appends `goodbye` and the close frame. `spread` jitters when the client comes back.
pub(crate) fn write_goodbye(
    out: &mut Vec<u8>,
    scratch: &mut Vec<u8>,
    reason: GoodbyeReason,
    code: CloseCode,
    spread: u64,
) {
    let retry_after_ms = RETRY_AFTER_MS + spread % RETRY_AFTER_MS;
    write(out, scratch, None, &Event::Goodbye(Goodbye { reason, retry_after_ms }));
    write_close(out, Some(code as u16), "", None);
}

/// Appends the frames of an effective record: one for a message, one for each member of a change. Messages up to
/// `sees_above` are hidden from the reader.
///
/// # Errors
/// The record lacks what such a record has.
pub fn write_effective(
    out: &mut Vec<u8>,
    scratch: &mut Vec<u8>,
    channel_id: ChannelId,
    effective: &Effective,
    sees_above: MessageId,
) -> Result<(), InvalidRecord> {
    match &effective.event {
        Some(effective::Event::Message(new)) => {
            let message = message::from_record(channel_id, MessageId(effective.id), effective.seq, new)?;
            write(out, scratch, None, &Event::MessageNew(&message));
        }
        _ => {
            for event in change_events(channel_id, effective, sees_above)? {
                write(out, scratch, None, &event);
            }
        }
    }
    Ok(())
}

/// The message that a record tells more of.
pub fn tells_of(effective: &Effective) -> Option<MessageId> {
    match &effective.event {
        Some(effective::Event::Amended(amended)) => Some(MessageId(amended.message_id)),
        _ => None,
    }
}

/// The events of a record that made a change. One to a message that is hidden from the reader leaves nothing but its
/// number, so that the numbers have no hole.
pub(crate) fn change_events(
    channel_id: ChannelId,
    effective: &Effective,
    sees_above: MessageId,
) -> Result<Vec<Event<'_>>, InvalidRecord> {
    if tells_of(effective).is_some_and(|message_id| message_id <= sees_above) {
        return Ok(vec![Event::MessageHidden(Hidden { channel_id, change: effective.change })]);
    }
    match &effective.event {
        Some(effective::Event::Membership(change)) => {
            membership_events(channel_id, change, None, effective.change)
        }
        Some(effective::Event::Amended(amended)) => Ok(vec![amended_event(channel_id, effective, amended)?]),
        Some(effective::Event::Message(_)) | None => Err(InvalidRecord::Field("event")),
    }
}

/// The event of a message that was amended.
fn amended_event<'a>(
    channel_id: ChannelId,
    effective: &Effective,
    amended: &'a Amended,
) -> Result<Event<'a>, InvalidRecord> {
    let (message_id, change) = (MessageId(amended.message_id), effective.change);
    let actor_id = user_id(&amended.actor_id)?;
    match amended.change.as_ref().ok_or(InvalidRecord::Field("change"))? {
        amended::Change::Edited(edited) => {
            let new = edited.message.as_ref().ok_or(InvalidRecord::Field("message"))?;
            let message = message::from_record(channel_id, message_id, edited.seq, new)?;
            let edited_at = (edited.edited_at_ms > 0).then_some(UnixMillis(edited.edited_at_ms));
            let message = Message { edited_at, deleted: edited.deleted, ..message };
            Ok(Event::MessageUpdated(Box::new(Updated { message, change })))
        }
        amended::Change::Deleted(_) => {
            let deleted_at = MessageId(effective.id).time();
            Ok(Event::MessageDeleted(Deleted { channel_id, message_id, deleted_at, change }))
        }
        amended::Change::Reacted(Reacted { emoji, removed, count, users }) => {
            let users = users.iter().map(|user| user_id(user)).collect::<Result<_, _>>()?;
            let op = if *removed { "remove" } else { "add" };
            let (count, user_id) = (*count, actor_id);
            let reaction =
                ReactionUpdated { channel_id, message_id, emoji, count, users, user_id, op, change };
            Ok(Event::ReactionUpdated(reaction))
        }
        amended::Change::Pinned(pinned) => {
            let pin = PinChanged { channel_id, message_id, actor_id, change };
            Ok(if *pinned { Event::MessagePinned(pin) } else { Event::MessageUnpinned(pin) })
        }
    }
}

/// The events of a change of a channel or its members: of all whom it names, or of one.
///
/// # Errors
/// The record lacks what such a record has, or is none that clients are told of.
pub fn membership_events<'a>(
    channel_id: ChannelId,
    change: &'a Membership,
    only: Option<UserId>,
    number: u64,
) -> Result<Vec<Event<'a>>, InvalidRecord> {
    let actor_id = user_id(&change.actor_id)?;
    let of_channel: fn(ChannelChanged<'a>) -> Event<'a> = match change.kind() {
        MembershipKind::Created => Event::ChannelCreated,
        MembershipKind::Updated => Event::ChannelUpdated,
        MembershipKind::Deleted => Event::ChannelDeleted,
        // Between the two of a DM; it is no event.
        MembershipKind::Closed => return Err(InvalidRecord::Field("kind")),
        MembershipKind::Added | MembershipKind::Removed | MembershipKind::Role => {
            return member_events(channel_id, change, only, actor_id, number);
        }
    };
    let channel = channel_view(channel_id, change)?;
    Ok(vec![of_channel(ChannelChanged { channel, actor_id, change: number })])
}

fn channel_view(channel_id: ChannelId, change: &Membership) -> Result<ChannelView<'_>, InvalidRecord> {
    let channel = change.channel.as_ref().ok_or(InvalidRecord::Field("channel"))?;
    let settings = channel.settings.unwrap_or_default();
    Ok(ChannelView {
        id: channel_id,
        name: &channel.name,
        kind: &channel.r#type,
        creator_id: user_id(&channel.creator_id)?,
        description: &channel.description,
        created_at: UnixMillis(channel.created_at_ms),
        topic: &channel.topic,
        settings: SettingsView::new(settings.slow_mode_s, settings.admins_post, settings.history_from_join),
    })
}

fn member_events<'a>(
    channel_id: ChannelId,
    membership: &'a Membership,
    only: Option<UserId>,
    actor_id: UserId,
    change: u64,
) -> Result<Vec<Event<'a>>, InvalidRecord> {
    let mut events = Vec::new();
    for member in &membership.members {
        let user_id = user_id(&member.user_id)?;
        if only.is_some_and(|only| only != user_id) {
            continue;
        }
        let member = MemberChanged { channel_id, user_id, role: &member.role, actor_id, change };
        events.push(match membership.kind() {
            MembershipKind::Removed => Event::MemberRemoved(member),
            MembershipKind::Role => Event::MemberUpdated(member),
            _ => Event::MemberAdded(member),
        });
    }
    Ok(events)
}

/// Appends `message.rejected`: a message was acknowledged, then refused by the pipeline. Nothing of a record without a valid
/// id.
pub fn write_rejection(out: &mut Vec<u8>, scratch: &mut Vec<u8>, rejection: &Rejection) {
    let Ok(client_id) = client_id(&rejection.client_id) else { return };
    let client_id = match &*rejection.frame_id {
        "" => client_id.to_string().into(),
        own => own.into(),
    };
    let message = match &*rejection.code {
        "not_a_member" => "It was not done: you were not a member of the channel any more.",
        "bad_request" => "It was not done: the message has as many different reactions as it takes.",
        "not_found" => "It was not done: the message is not there.",
        _ => "It was not done: you were not allowed to any more.",
    };
    write(out, scratch, None, &Event::Rejected(Rejected { client_id, code: &rejection.code, message }));
}

/// Who said or did what a message or a change of one tells.
pub fn author(effective: &Effective) -> Option<UserId> {
    let author = match &effective.event {
        Some(effective::Event::Message(new)) => &new.sender_id,
        Some(effective::Event::Amended(amended)) => &amended.actor_id,
        Some(effective::Event::Membership(_)) | None => return None,
    };
    user_id(author).ok()
}

/// Whose membership an event ends: they are told apart from the other members.
#[derive(Debug, PartialEq, Eq)]
pub enum Departing {
    /// The event ends no membership.
    Nobody,
    /// Those of these users.
    These(Vec<UserId>),
    /// The channel goes, and all of them with it.
    Everyone,
}

/// Whose membership an event ends.
pub fn departing(effective: &Effective) -> Departing {
    match &effective.event {
        Some(effective::Event::Membership(change)) => match change.kind() {
            MembershipKind::Removed => Departing::These(
                change.members.iter().filter_map(|member| user_id(&member.user_id).ok()).collect(),
            ),
            MembershipKind::Deleted => Departing::Everyone,
            _ => Departing::Nobody,
        },
        _ => Departing::Nobody,
    }
}
