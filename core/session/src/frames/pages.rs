//! A page as a `sync.page` frame, or as the events that it tells of.

use ringside_domain::page::ChannelPage;
use ringside_domain::reactions::ReactionSummary;
use ringside_domain::rows::{ChangeRow, MessageRow};
use ringside_domain::{edited_message, effective_of, effective_of_change};
use ringside_types::{MessageId, UserId};
use ringside_wire::InvalidRecord;
use ringside_wire::event::{Event, SyncPage};
use ringside_wire::message::{Message, MessageReaction, Sender, metadata};
use ringside_wire::records::{Effective, Profile};

use crate::frames;

/// Appends a page as one `sync.page`.
pub(crate) fn write_sync_page(
    out: &mut Vec<u8>,
    scratch: &mut Vec<u8>,
    page: &ChannelPage,
) -> Result<(), InvalidRecord> {
    let channel_id = page.head.channel_id;
    let nobody = Profile::default();
    let messages: Vec<Message<'_>> = page
        .messages
        .iter()
        .map(|row| Message {
            message_id: row.message_id,
            seq: row.seq,
            client_id: row.client_id,
            channel_id,
            sender: Sender::from_record(row.sender_id, sender(page, row.sender_id).unwrap_or(&nobody)),
            content: row.content.as_str().into(),
            content_type: row.content_type,
            reply_to: row.reply_to.non_zero(),
            metadata: metadata(&row.metadata),
            created_at: row.message_id.time(),
            edited_at: row.edited_record.non_zero().map(MessageId::time),
            deleted: row.is_deleted(),
            reactions: reactions(page, row),
        })
        .collect();
    let rows: Vec<Effective> =
        page.changes.iter().map(|row| change_of(page, row)).collect::<Result<_, _>>()?;
    let mut changes = Vec::with_capacity(rows.len());
    for row in &rows {
        changes.extend(frames::change_events(channel_id, row, page.sees_above)?);
    }
    let (has_more, reset) = (page.has_more, page.reset);
    let page = SyncPage { channel_id, messages: &messages, changes, has_more, reset };
    frames::write(out, scratch, None, &Event::SyncPage(page));
    Ok(())
}

/// How reactions stand on a message; on a tombstone none are shown.
fn reactions<'a>(page: &'a ChannelPage, row: &MessageRow) -> Vec<MessageReaction<'a>> {
    let of_message =
        page.tallies.iter().filter(|tally| tally.message_id == row.message_id && !row.is_deleted());
    of_message
        .map(|ReactionSummary { emoji, count, users, is_own, .. }| MessageReaction {
            emoji,
            count: *count,
            users,
            me: *is_own,
        })
        .collect()
}

/// Appends messages and changes as events, in the order of their records.
pub(crate) fn write_as_events(
    out: &mut Vec<u8>,
    scratch: &mut Vec<u8>,
    page: &ChannelPage,
) -> Result<(), InvalidRecord> {
    let messages = page.messages.iter().map(|row| effective_of(row, sender(page, row.sender_id).cloned()));
    let mut events: Vec<Effective> = messages.collect();
    for row in &page.changes {
        events.push(change_of(page, row)?);
    }
    events.sort_unstable_by_key(|event| event.id);
    for event in &events {
        frames::write_effective(out, scratch, page.head.channel_id, event, page.sees_above)?;
    }
    Ok(())
}

/// A change as an event: an edit says the message as it is.
fn change_of(page: &ChannelPage, row: &ChangeRow) -> Result<Effective, InvalidRecord> {
    let edited = edited_message(row)?;
    let message = edited.and_then(|id| page.edited.iter().find(|message| message.message_id == id));
    let profile = message.and_then(|message| sender(page, message.sender_id)).cloned();
    effective_of_change(row, message, profile)
}

fn sender(page: &ChannelPage, id: UserId) -> Option<&Profile> {
    page.senders.iter().find(|(of, _)| *of == id).map(|(_, profile)| profile)
}
