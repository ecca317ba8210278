//! A page as a `sync.page` frame, or as the events that it tells of.

use ringside_domain::page::ChannelPage;
use ringside_domain::rows::ChangeRow;
use ringside_domain::view::MessageView;
use ringside_domain::{edited_message, effective_of, effective_of_change};
use ringside_types::UserId;
use ringside_wire::InvalidRecord;
use ringside_wire::event::{Event, SyncPage};
use ringside_wire::message::{Message, Sender};
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
    let views: Vec<MessageView<'_>> = page.messages.iter().map(MessageView::from).collect();
    let mut messages: Vec<Message<'_>> = Vec::with_capacity(views.len());
    for view in &views {
        let profile = sender(page, view.sender_id).unwrap_or(&nobody);
        messages.push(view.to_message(Sender::from_record(view.sender_id, profile), &page.tallies));
    }
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
