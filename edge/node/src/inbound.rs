//! Records of the log as a node takes them in: decoded, and without those that can't be read.

use ringside_ports::log::Record;
use ringside_types::{ChannelId, Epoch, UserId};
use ringside_wire::records::{
    Control, EdgeBatch, EdgeItem, Effective, JoinAnswer, PresenceChanged, Rejection, Status, control,
    edge_item,
};
use ringside_wire::{InvalidRecord, channel_id, user_id};

/// What one item of a record to this edge says.
#[derive(Debug)]
#[expect(clippy::large_enum_variant, reason = "nearly all are events; a box would allocate for each")]
pub(crate) enum Item {
    /// A record of a channel.
    Event(ChannelId, Effective),
    /// The answer to a join.
    Join(ChannelId, JoinAnswer),
    /// A command of this user was acknowledged, then refused.
    Rejection(UserId, Rejection),
    /// How far a member has come.
    Status(ChannelId, Status),
    /// Somebody types, or has stopped.
    Typing(ChannelId, UserId, bool),
}

/// The items of a record of the edge's slot; none where it is of another epoch. What can't be read is reported: the
/// channel's chain will show it.
pub(crate) fn items(record: Record, epoch: Epoch) -> impl Iterator<Item = Item> {
    let offset = record.offset;
    let batch = ringside_wire::decode::<EdgeBatch>(record.payload).unwrap_or_else(|error| {
        tracing::error!(%error, %offset, "a record to this edge can't be read; the chain will show what it held");
        EdgeBatch::default()
    });
    let is_ours = batch.epoch == epoch.0;
    batch.items.into_iter().filter(move |_| is_ours).filter_map(move |item| match read(item) {
        Ok(item) => Some(item),
        Err(error) => {
            tracing::error!(%error, %offset, "an event to this edge can't be read; the chain will show it");
            None
        }
    })
}

fn read(item: EdgeItem) -> Result<Item, InvalidRecord> {
    let channel = channel_id(&item.channel_id)?;
    match item.body {
        Some(edge_item::Body::Effective(event)) => Ok(Item::Event(channel, event)),
        Some(edge_item::Body::Join(answer)) => Ok(Item::Join(channel, answer)),
        Some(edge_item::Body::Rejection(rejection)) => {
            Ok(Item::Rejection(user_id(&rejection.sender_id)?, rejection))
        }
        Some(edge_item::Body::Status(status)) => Ok(Item::Status(channel, status)),
        Some(edge_item::Body::Typing(sign)) => {
            Ok(Item::Typing(channel, user_id(&sign.user_id)?, sign.stopped))
        }
        // An edge waits for no answers.
        Some(edge_item::Body::Answered(_)) | None => Err(InvalidRecord::Field("body")),
    }
}

/// What a record of `control` says; `None`: this version can't read it.
pub(crate) fn control(record: Record) -> Option<control::Body> {
    let offset = record.offset;
    let body = ringside_wire::decode::<Control>(record.payload).ok().and_then(|control| control.body);
    if body.is_none() {
        tracing::error!(%offset, "a control record can't be read by this version; it is passed over");
    }
    body
}

/// The users whom a record of `presence` names; `None`: it can't be read.
pub(crate) fn presence(record: Record) -> Option<Vec<UserId>> {
    let offset = record.offset;
    match ringside_wire::decode::<PresenceChanged>(record.payload) {
        Ok(changed) => Some(changed.user_ids.iter().filter_map(|user| user_id(user).ok()).collect()),
        Err(error) => {
            tracing::error!(%error, %offset, "a record of presence can't be read; it is passed over");
            None
        }
    }
}
