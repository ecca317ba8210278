//! Rows as events: what edges are told, live and again.

use ringside_types::{ChannelId, Epoch, MessageId, Slot};
use ringside_wire::InvalidRecord;
use ringside_wire::records::{
    self, Amended, ChangeBody, EdgeItem, Edited, Effective, NewMessage, amended, change_body, edge_item,
    effective,
};

use crate::cache::ChannelState;
use crate::partition::Batch;
use crate::rows::{ChangeRow, HeadRow, MessageRow};

/// Sends an event to every edge that listens to the channel in its slot's present lease.
pub(crate) fn route(
    slots: &hashbrown::HashMap<Slot, Epoch, ringside_types::hash::RandomState>,
    channel: &ChannelState,
    channel_id: ChannelId,
    event: &Effective,
    batch: &mut Batch,
) {
    for row in &channel.interest {
        let listens = row.record_id != MessageId::ZERO;
        if listens && slots.get(&row.slot) == Some(&row.epoch) {
            let item = item(channel_id, edge_item::Body::Effective(event.clone()));
            batch.edges.push((row.slot, row.epoch, item));
        }
    }
}

fn new_message_of(row: &MessageRow, sender: Option<records::Profile>) -> NewMessage {
    NewMessage {
        client_id: row.client_id.as_bytes().to_vec().into(),
        sender_id: row.sender_id.as_bytes().to_vec().into(),
        sender,
        content: row.content.clone(),
        content_type: records::ContentType::from(row.content_type).into(),
        reply_to: row.reply_to.0,
        metadata: row.metadata.clone(),
        edited_at_ms: edited_at_ms(row),
        deleted: row.is_deleted(),
    }
}

fn edited_at_ms(row: &MessageRow) -> u64 {
    row.edited_record.non_zero().map_or(0, |id| id.time().0)
}

/// The event of a message's row, with the sender as the caller knows them.
pub fn effective_of(row: &MessageRow, sender: Option<records::Profile>) -> Effective {
    Effective {
        id: row.message_id.0,
        prev: row.prev.0,
        seq: row.seq,
        change: row.change,
        event: Some(effective::Event::Message(new_message_of(row, sender))),
    }
}

/// The event of a change's row. An edit's says the message as it is: `message`, by `sender` as the caller knows them.
///
/// # Errors
/// The body is none, or an edit comes without its message.
pub fn effective_of_change(
    row: &ChangeRow,
    message: Option<&MessageRow>,
    sender: Option<records::Profile>,
) -> Result<Effective, InvalidRecord> {
    let body: ChangeBody = ringside_wire::decode(row.body.clone())?;
    let event = match body.event {
        Some(change_body::Event::Membership(membership)) => effective::Event::Membership(membership),
        Some(change_body::Event::Amended(mut amended)) => {
            if let Some(amended::Change::Edited(edited)) = &mut amended.change {
                *edited = edited_of(message.ok_or(InvalidRecord::Field("message"))?, sender);
            }
            effective::Event::Amended(amended)
        }
        None => return Err(InvalidRecord::Field("event")),
    };
    Ok(Effective {
        id: row.record_id.0,
        prev: row.prev.0,
        seq: row.seq,
        change: row.change,
        event: Some(event),
    })
}

/// The message that a change's row says was edited; `None`: the change is another.
///
/// # Errors
/// The body is none.
pub fn edited_message(row: &ChangeRow) -> Result<Option<MessageId>, InvalidRecord> {
    let body: ChangeBody = ringside_wire::decode(row.body.clone())?;
    Ok(match body.event {
        Some(change_body::Event::Amended(Amended {
            message_id,
            change: Some(amended::Change::Edited(_)),
            ..
        })) => Some(MessageId(message_id)),
        _ => None,
    })
}

fn edited_of(row: &MessageRow, sender: Option<records::Profile>) -> Edited {
    Edited {
        message: Some(new_message_of(row, sender)),
        seq: row.seq,
        edited_at_ms: edited_at_ms(row),
        deleted: row.is_deleted(),
        mentions: None,
        earlier: None,
    }
}

pub(crate) fn record_head(head: &HeadRow) -> records::Head {
    records::Head {
        last_effective_id: head.last_effective_id.0,
        last_message_id: head.last_message_id.0,
        last_seq: head.last_seq,
        last_change: head.last_change,
    }
}

pub(crate) fn item(channel: ChannelId, body: edge_item::Body) -> EdgeItem {
    EdgeItem { channel_id: channel.as_bytes().to_vec().into(), body: Some(body) }
}

#[cfg(test)]
mod tests {
    use super::*;
    use ringside_types::{ChannelId, ClientId, UserId};
    use uuid::Uuid;

    fn message() -> MessageRow {
        MessageRow {
            channel_id: ChannelId(Uuid::from_u128(1)),
            message_id: MessageId(1 << 22),
            prev: MessageId::ZERO,
            seq: 1,
            change: 0,
            client_id: ClientId(Uuid::from_u128(2)),
            sender_id: UserId(Uuid::from_u128(3)),
            content: "as it is".into(),
            content_type: ringside_wire::message::ContentType::Text,
            metadata: String::new(),
            reply_to: MessageId::ZERO,
            edited_record: MessageId(3 << 22),
            deleted_record: MessageId::ZERO,
            stamp: Default::default(),
        }
    }

    fn change(event: Option<change_body::Event>) -> ChangeRow {
        ChangeRow {
            channel_id: message().channel_id,
            change: 1,
            record_id: MessageId(3 << 22),
            prev: message().message_id,
            seq: 1,
            body: ringside_wire::encode(&ChangeBody { event }),
            stamp: Default::default(),
        }
    }

    /// Gaps are filled from rows that may have been changed since: what is told of one must say so.
    #[test]
    fn a_message_read_back_after_its_deletion_is_a_tombstone() {
        let row = MessageRow { content: String::new(), deleted_record: MessageId(5 << 22), ..message() };
        let effective = effective_of(&row, None);
        let Some(effective::Event::Message(new)) = &effective.event else { panic!("{effective:?}") };
        let told = ringside_wire::message::from_record(row.channel_id, row.message_id, row.seq, new);
        let told = told.expect("a message");
        assert!(told.deleted && told.edited_at == Some(MessageId(3 << 22).time()));
    }

    /// A change's row has no content: whoever reads it back has to read the message that it edits, too.
    #[test]
    fn an_edit_read_back_takes_its_message_and_no_other_change_does() {
        let amended = |change| {
            let message_id = message().message_id.0;
            change_body::Event::Amended(Amended { message_id, change: Some(change), ..Amended::default() })
        };
        let edit = change(Some(amended(amended::Change::Edited(Edited::default()))));
        assert_eq!(edited_message(&edit), Ok(Some(message().message_id)));
        assert_eq!(effective_of_change(&edit, None, None), Err(InvalidRecord::Field("message")));
        let told = effective_of_change(&edit, Some(&message()), None).expect("a change");
        assert_eq!((told.id, told.prev, told.seq, told.change), (3 << 22, 1 << 22, 1, 1));
        assert_eq!(
            told.event,
            Some(effective::Event::Amended(Amended {
                message_id: message().message_id.0,
                change: Some(amended::Change::Edited(edited_of(&message(), None))),
                ..Amended::default()
            }))
        );
        for event in [
            amended(amended::Change::Deleted(true)),
            amended(amended::Change::Pinned(true)),
            change_body::Event::Membership(records::Membership::default()),
        ] {
            let other = change(Some(event.clone()));
            assert_eq!(edited_message(&other), Ok(None), "{event:?}");
            assert!(effective_of_change(&other, None, None).is_ok(), "{event:?}");
        }
        let nothing = effective_of_change(&change(None), None, None);
        assert_eq!(nothing, Err(InvalidRecord::Field("event")));
    }
}
