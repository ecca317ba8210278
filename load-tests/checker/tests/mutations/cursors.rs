//! Mutations of cursors and unread counts.

use ringside_checker::history::{Event, History};
use ringside_checker::{Fault, check};
use ringside_test_client::cursor::Cursor;
use uuid::Uuid;

use crate::model::correct_history;
use crate::{catches, positions};

fn is_status(event: &Event) -> bool {
    matches!(event, Event::Status { cursor, .. } if cursor.read.is_some())
}

fn status_at(history: &mut History, (client, position): (usize, usize)) -> Option<&mut Cursor> {
    match &mut history.clients[client].records[position].event {
        Event::Status { cursor, .. } => Some(cursor),
        _ => None,
    }
}

/// Everybody's final cursors of one member of channel 0, with that member.
fn ends(history: &mut History) -> Option<(Uuid, Vec<&mut Cursor>)> {
    let channel = &mut history.channels[0];
    let user = channel.final_cursors[0].cursors.iter().find(|cursor| cursor.read.is_some())?.user_id;
    let cursors = channel.final_cursors.iter_mut().flat_map(|end| &mut end.cursors);
    Some((user, cursors.filter(|cursor| cursor.user_id == user).collect()))
}

#[test]
fn correct_histories_hold_cursors() {
    let counts = check(&correct_history(7)).counts;
    assert!(counts.receipts > 10 && counts.cursors > 50 && counts.unread > 50, "{counts:?}");
}

#[test]
fn a_status_falls_back() {
    catches(Fault::CursorRegressed, |history| {
        // The first status that a client read comes again after a later one of the same member.
        let all = positions(history, is_status);
        let (first, last) = all.iter().find_map(|&(client, first)| {
            let records = &history.clients[client].records;
            let Event::Status { channel, cursor: early } = &records[first].event else { return None };
            let last = records.iter().rposition(|record| {
                matches!(&record.event, Event::Status { channel: c, cursor: late }
                    if c == channel && late.user_id == early.user_id && early.read < late.read)
            });
            Some(((client, first), last.filter(|last| *last > first)?))
        })?;
        let again = history.clients[first.0].records[first.1].event.clone();
        let mut record = history.clients[first.0].records[last].clone();
        record.event = again;
        history.clients[first.0].records.insert(last + 1, record);
        Some(())
    });
}

/// Over a reconnect: the last status of one connection is taken back by the first one of the next.
#[test]
fn a_cursor_falls_back_over_a_reconnect() {
    catches(Fault::CursorRegressed, |history| {
        let all = positions(history, is_status);
        let place = all.iter().rev().find(|&&(client, position)| {
            let records = &history.clients[client].records;
            let Event::Status { channel, cursor } = &records[position].event else { return false };
            records[..position].iter().any(|earlier| {
                earlier.connection < records[position].connection
                    && matches!(&earlier.event, Event::Status { channel: c, cursor: e }
                        if c == channel && e.user_id == cursor.user_id && e.read.is_some())
            })
        });
        *status_at(history, *place?)? = Cursor::nothing(status_at(history, *place?)?.user_id);
        Some(())
    });
}

#[test]
fn a_list_is_behind_what_was_told() {
    catches(Fault::CursorRegressed, |history| {
        let listed = |event: &Event| matches!(event, Event::Receipts { cursors, .. } if cursors.iter().all(|cursor| cursor.read.is_some()));
        let &(client, position) = positions(history, listed).last()?;
        let Event::Receipts { cursors, .. } = &mut history.clients[client].records[position].event else {
            return None;
        };
        cursors.iter_mut().for_each(|cursor| *cursor = Cursor::nothing(cursor.user_id));
        Some(())
    });
}

#[test]
fn a_cursor_above_the_head() {
    catches(Fault::CursorAstray, |history| {
        let &place = positions(history, is_status).last()?;
        let above = history.channels.iter().filter_map(|it| Some(it.readings[0].messages.last()?.message_id));
        let above = above.max()? + 1;
        let cursor = status_at(history, place)?;
        (cursor.delivered, cursor.read) = (Some(above), Some(above));
        Some(())
    });
}

#[test]
fn a_cursor_in_another_channel() {
    catches(Fault::CursorAstray, |history| {
        let foreign = history.channels[1].readings[0].messages.first()?.message_id;
        for cursor in ends(history)?.1 {
            cursor.delivered = cursor.delivered.max(Some(foreign));
            cursor.read = Some(foreign);
        }
        Some(())
    });
}

#[test]
fn a_cursor_that_nobody_moved() {
    catches(Fault::CursorInvented, |history| {
        // All that any device of a user said of channel 0 is forgotten, messages of their own are none.
        let channel = history.channels[0].channel_id;
        let of_others = |history: &History, user: Uuid| {
            let mut messages = history.channels[0].readings[0].messages.iter();
            messages.any(|seen| seen.sender != user)
        };
        let (user, _) = ends(history)?;
        let said = |event: &Event| matches!(event, Event::Receipt { channel: c, .. } if *c == channel);
        if !of_others(history, user) {
            return None;
        }
        let own = history.clients.iter_mut().filter(|client| client.user_id == user);
        own.for_each(|client| client.records.retain(|record| !said(&record.event)));
        // A message of somebody else, the last one there is, and its reader has never said so.
        let last = history.channels[0].readings[0].messages.iter().rev().find(|seen| seen.sender != user)?;
        let last = Some(last.message_id);
        for cursor in ends(history)?.1 {
            (cursor.delivered, cursor.read) = (cursor.delivered.max(last), last);
        }
        Some(())
    });
}

#[test]
fn read_and_not_delivered() {
    catches(Fault::ReadNotDelivered, |history| {
        let &place = positions(history, is_status).first()?;
        status_at(history, place)?.delivered = None;
        Some(())
    });
}

#[test]
fn a_cursor_ends_lower_than_it_was() {
    catches(Fault::CursorLost, |history| {
        let (_, ends) = ends(history)?;
        ends.into_iter().for_each(|cursor| *cursor = Cursor::nothing(cursor.user_id));
        Some(())
    });
}

/// A receipt of the last connection, before its last sync, has no effect, and nobody is told of it.
#[test]
fn a_receipt_that_was_taken_has_no_effect() {
    catches(Fault::CursorLost, |history| {
        let channel = &history.channels[0];
        let (id, last) = (channel.channel_id, channel.readings[0].messages.last()?.message_id);
        let reader = channel.readings[0].messages.last().map(|seen| seen.sender);
        let client = history.clients.iter_mut().find(|client| {
            Some(client.user_id) != reader
                && channel.final_cursors[0]
                    .cursors
                    .iter()
                    .any(|cursor| cursor.user_id == client.user_id && cursor.read < Some(last))
        })?;
        let sync =
            client.records.iter().rposition(|record| matches!(record.event, Event::SyncSent { .. }))?;
        let mut record = client.records[sync].clone();
        record.event =
            Event::Receipt { channel: id, frame_id: Uuid::from_u128(42), message_id: last, is_read: true };
        client.records.insert(sync, record);
        Some(())
    });
}

#[test]
fn two_members_are_told_differently() {
    catches(Fault::CursorsDiffer, |history| {
        let (_, mut ends) = ends(history)?;
        let last = ends.pop()?;
        *last = Cursor::nothing(last.user_id);
        Some(())
    });
}

#[test]
fn a_good_receipt_is_refused() {
    catches(Fault::ReceiptRefused, |history| {
        let good = |event: &Event| {
            matches!(event, Event::Receipt { channel, message_id, .. } if history.channels.iter().any(|it| {
                it.channel_id == *channel && it.readings[0].messages.iter().any(|seen| seen.message_id == *message_id)
            }))
        };
        let &(client, position) = positions(history, good).first()?;
        let records = &mut history.clients[client].records;
        let Event::Receipt { frame_id, .. } = records[position].event else { return None };
        let mut record = records[position].clone();
        record.event = Event::ReceiptRefused { frame_id, code: "not_found".into() };
        records.insert(position + 1, record);
        Some(())
    });
}

#[test]
fn an_unread_count_is_off_in_the_end() {
    for off in 0..2 {
        catches(Fault::UnreadWrong, |history| {
            let end = history.channels[1].final_cursors.first_mut()?;
            let told = if off == 0 { &mut end.listed } else { &mut end.synced };
            told.as_mut()?.count += 1;
            Some(())
        });
    }
    catches(Fault::UnreadWrong, |history| {
        history.channels[1].final_cursors.first_mut()?.listed.take().map(drop)
    });
}

#[test]
fn an_unread_count_is_off_on_the_way() {
    catches(Fault::UnreadWrong, |history| {
        let &(client, position) = positions(history, |event| matches!(event, Event::Listed { .. })).last()?;
        let Event::Listed { channels, .. } = &mut history.clients[client].records[position].event else {
            return None;
        };
        let told = channels.last_mut()?;
        told.count = told.last_seq + 1;
        Some(())
    });
    catches(Fault::UnreadWrong, |history| {
        let &(client, position) =
            positions(history, |event| matches!(event, Event::SyncDone { .. })).last()?;
        let Event::SyncDone { unread, .. } = &mut history.clients[client].records[position].event else {
            return None;
        };
        unread.last_mut()?.1 += 1_000;
        Some(())
    });
}
