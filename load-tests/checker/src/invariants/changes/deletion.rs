//! What a client saw deleted stays deleted for it, and in the final history.

use std::collections::HashMap;

use ringside_test_client::amendment::Changed;

use crate::history::{Event, SeenMessage};
use crate::index::Index;
use crate::verdict::{Fault, Invariant, Verdict, Violation};

pub(super) fn check(index: &Index<'_>, verdict: &mut Verdict) {
    let mut deleted_by_anyone = HashMap::new();
    for client in &index.history.clients {
        // Message id -> the connection on which the deletion was seen.
        let mut deleted: HashMap<u64, u32> = HashMap::new();
        for record in &client.records {
            let (channel, messages): (_, &[SeenMessage]) = match &record.event {
                Event::Changed { channel, change } => {
                    let Changed::Deleted { message_id } = &change.what else { continue };
                    deleted.insert(*message_id, record.connection);
                    deleted_by_anyone.insert((*channel, *message_id), (client.client, record.connection));
                    continue;
                }
                Event::New { channel, message } => (*channel, std::slice::from_ref(message)),
                Event::Page { channel, messages, .. } => (*channel, messages),
                _ => continue,
            };
            for seen in messages {
                if seen.deleted {
                    deleted.insert(seen.message_id, record.connection);
                    deleted_by_anyone.insert((channel, seen.message_id), (client.client, record.connection));
                } else if let Some(connection) = deleted.get(&seen.message_id) {
                    verdict.add(Violation {
                        invariant: Invariant::ChangesConverge,
                        fault: Fault::DeletionUndone,
                        channel: Some(channel),
                        witness: Some((client.client, record.connection)),
                        at_us: Some(record.at_us),
                        detail: format!(
                            "message {} is back; connection {connection} had seen it deleted",
                            seen.message_id
                        ),
                    });
                }
            }
        }
    }
    check_final(index, &deleted_by_anyone, verdict);
}

fn check_final(index: &Index<'_>, deleted: &HashMap<(uuid::Uuid, u64), (u32, u32)>, verdict: &mut Verdict) {
    for channel in &index.history.channels {
        for seen in channel.readings.iter().flat_map(|reading| &reading.messages) {
            let witness = deleted.get(&(channel.channel_id, seen.message_id)).copied();
            if witness.is_some() && !seen.deleted {
                verdict.add(Violation {
                    invariant: Invariant::ChangesConverge,
                    fault: Fault::DeletionUndone,
                    channel: Some(channel.channel_id),
                    witness,
                    at_us: None,
                    detail: format!(
                        "message {} is whole in the final history, though it was deleted",
                        seen.message_id
                    ),
                });
            }
        }
    }
}
