//! Receipts that can't have been lost: the edge took them, and the server was not killed afterwards.

use std::collections::HashMap;

use ringside_test_client::cursor::Cursor;
use uuid::Uuid;

use crate::history::{ClientHistory, Event};

/// How far each user has come for certain in the end, by channel and user.
pub type CertainCursors = HashMap<(Uuid, Uuid), Cursor>;

/// One receipt on its connection.
#[derive(Clone, Copy)]
struct Sent {
    channel: Uuid,
    frame_id: Uuid,
    message_id: u64,
    is_read: bool,
    /// A sync was asked for after it; its answer shows that the edge took the receipt.
    is_followed: bool,
    is_taken: bool,
}

/// Gathers what these clients' receipts make certain. `exists` says whether a channel holds a message: receipts of others are refused, perhaps too late to be
/// heard.
pub fn certain_cursors(
    clients: &[ClientHistory],
    undisturbed_from_us: u64,
    exists: impl Fn(Uuid, u64) -> bool,
) -> CertainCursors {
    let mut certain = CertainCursors::new();
    for client in clients {
        for sent in taken(client, undisturbed_from_us).filter(|sent| exists(sent.channel, sent.message_id)) {
            let user_id = client.user_id;
            let id = Some(sent.message_id);
            let cursor = Cursor { user_id, delivered: id, read: id.filter(|_| sent.is_read) };
            certain.entry((sent.channel, user_id)).or_insert(Cursor::nothing(user_id)).raise(&cursor);
        }
    }
    certain
}

fn taken(client: &ClientHistory, undisturbed_from_us: u64) -> impl Iterator<Item = Sent> {
    let (mut connection, mut all) = (0, Vec::<Sent>::new());
    for record in &client.records {
        if record.connection != connection {
            connection = record.connection;
            all.retain(|sent| sent.is_taken);
        }
        match &record.event {
            Event::Receipt { channel, frame_id, message_id, is_read }
                if record.at_us >= undisturbed_from_us =>
            {
                all.push(Sent {
                    channel: *channel,
                    frame_id: *frame_id,
                    message_id: *message_id,
                    is_read: *is_read,
                    is_followed: false,
                    is_taken: false,
                });
            }
            Event::ReceiptRefused { frame_id, .. } => all.retain(|sent| sent.frame_id != *frame_id),
            Event::SyncSent { .. } => all.iter_mut().for_each(|sent| sent.is_followed = true),
            Event::SyncDone { .. } => all.iter_mut().for_each(|sent| sent.is_taken |= sent.is_followed),
            _ => {}
        }
    }
    all.into_iter().filter(|sent| sent.is_taken)
}
