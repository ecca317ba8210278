//! Mutations of messages: of the final histories, of live streams and of syncs.

use ringside_checker::Fault;
use ringside_checker::history::{Event, History, Record, SeenMessage};

use crate::{catches, positions};

fn is_new(event: &Event) -> bool {
    matches!(event, Event::New { .. })
}

/// Two neighbouring `message.new` of one channel on one connection.
fn live_pair(history: &History) -> Option<(usize, usize, usize)> {
    for (client, later) in positions(history, is_new) {
        let records = &history.clients[client].records;
        let Event::New { channel, message } = &records[later].event else { continue };
        let earlier = records[..later].iter().rposition(|record| {
            record.connection == records[later].connection
                && matches!(&record.event, Event::New { channel: c, message: m } if c == channel && m.seq + 1 == message.seq)
        });
        if let Some(earlier) = earlier {
            return Some((client, earlier, later));
        }
    }
    None
}

/// Applies a change to every message wherever it was seen.
fn every_sighting(history: &mut History, change: impl Fn(&mut SeenMessage)) {
    let readings = history.channels.iter_mut().flat_map(|channel| &mut channel.readings);
    readings.flat_map(|reading| &mut reading.messages).for_each(&change);
    for record in history.clients.iter_mut().flat_map(|client| &mut client.records) {
        match &mut record.event {
            Event::New { message, .. } => change(message),
            Event::Page { messages, .. } => messages.iter_mut().for_each(&change),
            _ => {}
        }
    }
}

/// Removes a message from everything that anybody saw.
fn forget(history: &mut History, gone: &SeenMessage) {
    for channel in &mut history.channels {
        for reading in &mut channel.readings {
            reading.messages.retain(|seen| seen.message_id != gone.message_id);
        }
    }
    for client in &mut history.clients {
        client
            .records
            .retain(|record| !matches!(&record.event, Event::New { message, .. } if message == gone));
        for record in &mut client.records {
            if let Event::Page { messages, .. } = &mut record.event {
                messages.retain(|seen| seen.message_id != gone.message_id);
            }
        }
    }
}

/// An acknowledged message that ends its channel.
fn acknowledged_tail(history: &History) -> Option<SeenMessage> {
    history.channels.iter().find_map(|channel| {
        let last = channel.readings[0].messages.last()?;
        let acked =
            |event: &Event| matches!(event, Event::Acked { client_id, .. } if *client_id == last.client_id);
        let refused =
            |event: &Event| matches!(event, Event::Refused { client_id, .. } if *client_id == last.client_id);
        (!positions(history, acked).is_empty() && positions(history, refused).is_empty())
            .then(|| last.clone())
    })
}

#[test]
fn dropped_acknowledged_message() {
    catches(Fault::LostAcknowledged, |history| {
        let tail = acknowledged_tail(history)?;
        forget(history, &tail);
        Some(())
    });
}

#[test]
fn seen_message_absent_from_history() {
    catches(Fault::LostSeen, |history| {
        for reading in &mut history.channels[0].readings {
            reading.messages.pop()?;
        }
        Some(())
    });
}

#[test]
fn history_doubles_a_message() {
    catches(Fault::DoubledInHistory, |history| {
        let reading = &mut history.channels[0].readings[0];
        let again = reading.messages.last()?.clone();
        reading.messages.push(again);
        Some(())
    });
}

#[test]
fn history_has_a_hole() {
    catches(Fault::HistoryNotDense, |history| {
        for reading in &mut history.channels[0].readings {
            if reading.messages.len() < 3 {
                return None;
            }
            reading.messages.remove(1);
        }
        Some(())
    });
}

#[test]
fn two_members_read_different_histories() {
    catches(Fault::ReadingsDiffer, |history| {
        history.channels[0].readings[1].messages.pop()?;
        Some(())
    });
}

#[test]
fn phantom_message() {
    catches(Fault::Phantom, |history| {
        let &(client, position) = positions(history, is_new).first()?;
        let Event::New { message, .. } = &mut history.clients[client].records[position].event else {
            return None;
        };
        message.client_id = uuid::Uuid::from_u128(42);
        Some(())
    });
}

#[test]
fn altered_content() {
    catches(Fault::Phantom, |history| {
        let &(client, position) = positions(history, is_new).first()?;
        let Event::New { message, .. } = &mut history.clients[client].records[position].event else {
            return None;
        };
        message.content.push('!');
        Some(())
    });
}

#[test]
fn refused_message_appears() {
    catches(Fault::RefusedAppears, |history| {
        let tail = acknowledged_tail(history)?;
        for client in &mut history.clients {
            for record in &mut client.records {
                match &record.event {
                    Event::Acked { channel, client_id } if *client_id == tail.client_id => {
                        record.event = Event::Refused {
                            channel: *channel,
                            client_id: *client_id,
                            code: "not_a_member".into(),
                        };
                    }
                    _ => {}
                }
            }
        }
        // Unanswered attempts may have been stored; here there are none.
        let sent =
            |event: &Event| matches!(event, Event::Sent { client_id, .. } if *client_id == tail.client_id);
        let refused =
            |event: &Event| matches!(event, Event::Refused { client_id, .. } if *client_id == tail.client_id);
        (positions(history, sent).len() == positions(history, refused).len()).then_some(())
    });
}

#[test]
fn stranger_reads_along() {
    catches(Fault::ForeignReader, |history| {
        let &(client, _) = positions(history, is_new).first()?;
        let reader = history.clients[client].user_id;
        for channel in &mut history.channels {
            channel.members.retain(|member| *member != reader);
        }
        Some(())
    });
}

#[test]
fn malformed_frame() {
    catches(Fault::Malformed, |history| {
        let record = history.clients[0].records.first_mut()?;
        record.event = Event::Malformed { detail: "seq is negative".into() };
        Some(())
    });
}

#[test]
fn duplicate_on_one_connection() {
    catches(Fault::DuplicateLive, |history| {
        let &(client, position) = positions(history, is_new).last()?;
        let again = history.clients[client].records[position].clone();
        history.clients[client].records.insert(position, again);
        Some(())
    });
}

#[test]
fn swapped_order() {
    catches(Fault::Reordered, |history| {
        let (client, earlier, later) = live_pair(history)?;
        let records = &mut history.clients[client].records;
        let first = records[earlier].event.clone();
        records[earlier].event = std::mem::replace(&mut records[later].event, first);
        Some(())
    });
}

#[test]
fn gap_in_the_live_stream() {
    catches(Fault::Gap, |history| {
        // The middle one of three goes, where no sync ends near it: that would tell the gap by another name.
        let (client, middle) = positions(history, is_new).into_iter().find(|&(client, middle)| {
            let records = &history.clients[client].records;
            let Event::New { channel, .. } = &records[middle].event else { return false };
            let of_channel =
                |record: &Record| matches!(&record.event, Event::New { channel: c, .. } if c == channel);
            let ends = |record: &Record| {
                matches!(record.event, Event::SyncDone { .. } | Event::Closed { .. } | Event::Opened)
            };
            let before = records[..middle].iter().rev().take_while(|record| !ends(record)).any(of_channel);
            before && records[middle + 1..].iter().take_while(|record| !ends(record)).any(of_channel)
        })?;
        history.clients[client].records.remove(middle);
        Some(())
    });
}

#[test]
fn two_messages_on_one_seq() {
    catches(Fault::SequenceConflict, |history| {
        let (client, earlier, later) = live_pair(history)?;
        let records = &mut history.clients[client].records;
        let Event::New { message, .. } = &records[earlier].event else { return None };
        let seq = message.seq;
        let Event::New { message, .. } = &mut records[later].event else { return None };
        message.seq = seq;
        Some(())
    });
}

#[test]
fn ids_that_fall() {
    catches(Fault::IdConflict, |history| {
        let last = history.channels[0].readings[0].messages.last()?.message_id;
        every_sighting(history, |seen| {
            if seen.message_id == last {
                seen.message_id = 0;
            }
        });
        Some(())
    });
}

#[test]
fn retry_makes_two_messages() {
    catches(Fault::RetryDoubled, |history| {
        for reading in &mut history.channels[0].readings {
            let mut again = reading.messages.last()?.clone();
            again.message_id += 1_000_000;
            again.seq += 1;
            reading.messages.push(again);
        }
        Some(())
    });
}

#[test]
fn a_retry_of_one_removed_is_refused() {
    catches(Fault::RetryRefused, |history| {
        let key = |event: &Event| match event {
            Event::Sent { channel, client_id, content } => Some((*channel, *client_id, content.clone())),
            _ => None,
        };
        let records = &mut history.clients[0].records;
        let (channel, client_id, content) = records.iter().find_map(|record| key(&record.event))?;
        let last = records.last()?;
        let (at_us, connection) = (last.at_us + 1, last.connection + 1);
        let again = Event::Sent { channel, client_id, content };
        let refused = Event::Refused { channel, client_id, code: "not_a_member".into() };
        records.extend([again, refused].map(|event| Record { at_us, connection, event }));
        Some(())
    });
}

#[test]
fn acknowledged_message_overtaken() {
    catches(Fault::CausalityBroken, |history| {
        // The last message of a channel is moved before everything: as if it had been sent and acknowledged first.
        let channel = &history.channels[0];
        let tail = channel.readings[0].messages.last()?.clone();
        let earlier = channel.readings[0]
            .messages
            .iter()
            .rev()
            .skip(1)
            .find(|seen| seen.sender == tail.sender)?
            .clone();
        for client in &mut history.clients {
            let mut first = true;
            for record in &mut client.records {
                let touches =
                    matches!(&record.event, Event::Sent { client_id, .. } if *client_id == tail.client_id);
                if touches && first {
                    record.at_us = 1;
                    first = false;
                }
            }
        }
        // The earlier one is sent long after the tail's ack.
        let end_us = 10_000_000;
        let mut found = false;
        for client in &mut history.clients {
            for record in &mut client.records {
                match &record.event {
                    Event::Sent { client_id, .. } if *client_id == earlier.client_id => record.at_us = end_us,
                    Event::Acked { client_id, .. } if *client_id == tail.client_id => {
                        record.at_us = 2;
                        found = true;
                    }
                    Event::Refused { client_id, .. } if *client_id == tail.client_id => return None,
                    _ => {}
                }
            }
        }
        found.then_some(())
    });
}

#[test]
fn stale_read_after_reconnect() {
    catches(Fault::StaleRead, |history| {
        let done = positions(history, |event| matches!(event, Event::SyncDone { .. }));
        let &(client, position) = done.last()?;
        let Event::SyncDone { channels, .. } = &mut history.clients[client].records[position].event else {
            return None;
        };
        let (_, last_seq) = channels.iter_mut().find(|(_, last_seq)| *last_seq > 1)?;
        *last_seq -= 1;
        Some(())
    });
}

fn full_page(event: &Event) -> bool {
    matches!(event, Event::Page { messages, .. } if messages.len() > 2)
}

#[test]
fn sync_skips_the_beginning() {
    catches(Fault::NotTheSuffix, |history| {
        let &(client, position) = positions(history, full_page).first()?;
        let Event::Page { messages, .. } = &mut history.clients[client].records[position].event else {
            return None;
        };
        messages.remove(0);
        Some(())
    });
}

#[test]
fn sync_has_a_hole() {
    catches(Fault::HoleInSync, |history| {
        let &(client, position) = positions(history, full_page).first()?;
        let Event::Page { messages, .. } = &mut history.clients[client].records[position].event else {
            return None;
        };
        messages.remove(1);
        Some(())
    });
}

#[test]
fn sync_ends_early() {
    catches(Fault::SyncIncomplete, |history| {
        let last = |event: &Event| matches!(event, Event::Page { messages, has_more, .. } if !has_more && messages.len() > 1);
        // What came live on the connection as well is not missing there.
        let (client, position) = positions(history, last).into_iter().rev().find(|&(client, position)| {
            let records = &history.clients[client].records;
            let Event::Page { messages, .. } = &records[position].event else { return false };
            let also_live = |record: &Record| {
                record.connection == records[position].connection
                    && matches!(&record.event, Event::New { message, .. } if Some(message) == messages.last())
            };
            !records.iter().any(also_live)
        })?;
        let Event::Page { messages, .. } = &mut history.clients[client].records[position].event else {
            return None;
        };
        messages.pop();
        Some(())
    });
}

#[test]
fn sync_leaves_a_channel_out() {
    catches(Fault::SyncIncomplete, |history| {
        let &(client, position) =
            positions(history, |event| matches!(event, Event::SyncDone { .. })).last()?;
        let Event::SyncDone { channels, .. } = &mut history.clients[client].records[position].event else {
            return None;
        };
        channels.pop();
        Some(())
    });
}
