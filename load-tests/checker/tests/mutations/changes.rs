//! Mutations of edits, deletions, reactions and pins, and of what reaches clients after their eviction.

use ringside_checker::history::{Event, History, Record};
use ringside_checker::{Fault, SILENT_WITHIN_US};
use ringside_test_client::amendment::{Amendment, Change, Changed};
use ringside_test_client::eviction::Eviction;

use crate::{catches, positions};

fn is_change(event: &Event) -> bool {
    matches!(event, Event::Changed { .. })
}

/// Applies a change to every frame of a change, wherever it was seen.
fn every_change(history: &mut History, alter: impl Fn(&mut Change)) {
    for channel in &mut history.channels {
        channel.changes.iter_mut().flatten().for_each(&alter);
    }
    for client in history.clients.iter_mut().chain(&mut history.evicted_clients) {
        for record in &mut client.records {
            match &mut record.event {
                Event::Changed { change, .. } => alter(change),
                Event::Page { changes, .. } => changes.iter_mut().for_each(&alter),
                _ => {}
            }
        }
    }
}

#[test]
fn deletion_comes_back() {
    catches(Fault::DeletionUndone, |history| {
        let deleted = |event: &Event| matches!(event, Event::Changed { change, .. } if matches!(change.what, Changed::Deleted { .. }));
        let &(client, position) = positions(history, deleted).first()?;
        let Event::Changed { change, .. } = &history.clients[client].records[position].event else {
            return None;
        };
        let Changed::Deleted { message_id } = change.what else { return None };
        let readings = history.channels.iter_mut().flat_map(|channel| &mut channel.readings);
        let messages = readings.flat_map(|reading| &mut reading.messages);
        for seen in messages.filter(|seen| seen.message_id == message_id) {
            seen.deleted = false;
            seen.content = "back again".into();
        }
        Some(())
    });
}

/// The last acknowledged edit of a message that is still there, undone everywhere: the one before it stands.
#[test]
fn lost_edit() {
    catches(Fault::LostAmendment, |history| {
        let edited = history.channels.iter().find_map(|channel| {
            channel.readings[0].messages.iter().find(|seen| seen.edited && !seen.deleted).cloned()
        })?;
        let asked = |event: &Event| matches!(event, Event::Asked { amendment: Amendment::Edit { content }, .. } if *content == edited.content);
        let &(client, position) = positions(history, asked).first()?;
        let Event::Asked { client_id, .. } = history.clients[client].records[position].event else {
            return None;
        };
        let acked = |event: &Event| matches!(event, Event::Acked { client_id: id, .. } if *id == client_id);
        positions(history, acked).first()?;
        let sent =
            |event: &Event| matches!(event, Event::Sent { client_id, .. } if *client_id == edited.client_id);
        let &(client, position) = positions(history, sent).first()?;
        let Event::Sent { content, .. } = history.clients[client].records[position].event.clone() else {
            return None;
        };
        for reading in history.channels.iter_mut().flat_map(|channel| &mut channel.readings) {
            for seen in reading.messages.iter_mut().filter(|seen| seen.message_id == edited.message_id) {
                seen.content.clone_from(&content);
            }
        }
        Some(())
    });
}

#[test]
fn lost_deletion_without_any_event() {
    catches(Fault::LostAmendment, |history| {
        let asked = |event: &Event| {
            matches!(event, Event::Asked { amendment: Amendment::React { added: true, .. }, .. })
        };
        let (client, position) = positions(history, asked).into_iter().find(|&(client, position)| {
            let records = &history.clients[client].records;
            let Event::Asked { client_id, message_id, .. } = records[position].event else { return false };
            let acked =
                |event: &Event| matches!(event, Event::Acked { client_id: id, .. } if *id == client_id);
            // What was acknowledged and refused later is not lost.
            let refused =
                |event: &Event| matches!(event, Event::Refused { client_id: id, .. } if *id == client_id);
            let stays = history.channels.iter().flat_map(|channel| &channel.readings[0].messages);
            let mut stays = stays.filter(|seen| seen.message_id == message_id);
            let is_certain = !positions(history, acked).is_empty() && positions(history, refused).is_empty();
            // Only a sender certainly may delete.
            let sender = history.clients[client].user_id;
            is_certain && stays.any(|seen| !seen.deleted && seen.sender == sender)
        })?;
        // As if it had been a deletion: acknowledged, and nothing came of it.
        if let Event::Asked { amendment, .. } = &mut history.clients[client].records[position].event {
            *amendment = Amendment::Delete;
        }
        Some(())
    });
}

#[test]
fn doubled_change() {
    catches(Fault::DoubledChange, |history| {
        let &(client, position) = positions(history, is_change).last()?;
        let again = history.clients[client].records[position].clone();
        history.clients[client].records.insert(position, again);
        Some(())
    });
}

#[test]
fn gap_in_live_changes() {
    catches(Fault::GapInChanges, |history| {
        let (client, later) = positions(history, is_change).into_iter().find(|&(client, later)| {
            let records = &history.clients[client].records;
            let Event::Changed { channel, change } = &records[later].event else { return false };
            let ends = |event: &Event| matches!(event, Event::Opened | Event::SyncSent { .. });
            let before = records[..later].iter().rev().take_while(|record| !ends(&record.event));
            let mut before = before.map(|record| &record.event);
            before.any(|event| matches!(event, Event::Changed { channel: c, change: b } if c == channel && b.number + 1 == change.number))
        })?;
        if let Event::Changed { change, .. } = &mut history.clients[client].records[later].event {
            change.number += 1;
        }
        Some(())
    });
}

#[test]
fn gap_in_synced_changes() {
    catches(Fault::GapInChanges, |history| {
        let full = |event: &Event| matches!(event, Event::Page { changes, .. } if changes.len() > 1);
        let &(client, position) = positions(history, full).first()?;
        if let Event::Page { changes, .. } = &mut history.clients[client].records[position].event {
            changes.remove(0);
        }
        Some(())
    });
}

#[test]
fn change_that_never_came() {
    catches(Fault::LostChange, |history| {
        let number = history.channels[0].changes.as_ref()?.len() as u64;
        let channel = history.channels[0].channel_id;
        let client = history.clients.iter_mut().find(|client| {
            let records = client.records.iter();
            records
                .filter(|record| matches!(&record.event, Event::Changed { channel: c, .. } if *c == channel))
                .count()
                > 0
        })?;
        client.records.retain(|record| !matches!(&record.event, Event::Changed { channel: c, change } if *c == channel && change.number == number));
        for record in &mut client.records {
            if let Event::Page { channel: c, changes, .. } = &mut record.event
                && *c == channel
            {
                changes.retain(|change| change.number != number);
            }
        }
        Some(())
    });
}

#[test]
fn one_number_two_changes() {
    catches(Fault::ChangeConflict, |history| {
        let &(client, position) = positions(history, is_change).last()?;
        if let Event::Changed { change, .. } = &mut history.clients[client].records[position].event {
            change.what = Changed::Pinned { message_id: 1, pinned: true };
        }
        Some(())
    });
}

#[test]
fn reaction_count_off_by_one_for_everyone() {
    catches(Fault::ReactionDiverges, |history| {
        let mut changes = history.channels.iter().flat_map(|channel| channel.changes.iter().flatten());
        changes.find(|change| matches!(change.what, Changed::Reacted { .. }))?;
        every_change(history, |change| {
            if let Changed::Reacted { count, .. } = &mut change.what {
                *count += 1;
            }
        });
        Some(())
    });
}

#[test]
fn view_that_is_not_the_history() {
    catches(Fault::ViewDiverges, |history| {
        let seen = history.channels[0].readings[0].messages.iter().find(|seen| !seen.deleted)?.clone();
        for reading in &mut history.channels[0].readings {
            for message in reading.messages.iter_mut().filter(|m| m.message_id == seen.message_id) {
                message.content.push('?');
            }
        }
        Some(())
    });
}

#[test]
fn pin_that_only_rest_lacks() {
    catches(Fault::ViewDiverges, |history| {
        let pins = history.channels[0].readings[0].pins.as_mut()?;
        pins.pop().map(drop)
    });
}

#[test]
fn event_after_removal() {
    catches(Fault::EventAfterRemoval, |history| {
        let records = &mut history.evicted_clients[0].records;
        let late = records.iter().rev().find(|record| is_change(&record.event))?.clone();
        let at_us = late.at_us + SILENT_WITHIN_US + 10;
        records.push(Record { at_us, ..late });
        Some(())
    });
}

/// A session that was ended opens another connection.
#[test]
fn connection_after_revocation() {
    catches(Fault::EventAfterRemoval, |history| {
        let records = &mut history.evicted_clients[0].records;
        let mut ended = records.last()?.clone();
        ended.event = Event::Evicted { channel: None, eviction: Eviction::Password };
        let at_us = ended.at_us + SILENT_WITHIN_US + 10;
        let opened = Record { at_us, connection: 2, event: Event::Opened };
        records.extend([ended, opened]);
        Some(())
    });
}
