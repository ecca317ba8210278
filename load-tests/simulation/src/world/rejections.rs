//! A repetition is answered like the first attempt: who sent what is stored is not told that it was rejected, whatever they
//! may do by then. Clients can't tell for which attempt a rejection is; the log can.

use std::collections::{HashMap, HashSet};

use ringside_domain::rows::{Key, MessageRow};
use ringside_types::{ClientId, Topic, UnixMillis, UserId};
use ringside_wire::records::{Command, EdgeBatch, command, edge_item};

use crate::log::SimulatedLog;

/// Messages that their first attempt made, and that were rejected all the same.
pub fn wrong_rejections(log: &SimulatedLog, stored: &[MessageRow]) -> Vec<String> {
    let mut attempts: HashMap<Key, Vec<UnixMillis>> = HashMap::new();
    for record in log.records(Topic::MessagesSend) {
        let Ok(Command { body: Some(command::Body::Send(send)) }) = ringside_wire::decode(record.payload)
        else {
            continue;
        };
        if let Ok(key) = Key::of(&send) {
            attempts.entry(key).or_default().push(record.time);
        }
    }
    let rejected = rejected(log);
    let is_wrong = |row: &&MessageRow| {
        let key = Key { channel_id: row.channel_id, sender_id: row.sender_id, client_id: row.client_id };
        // An id begins with its record's time, or a later one where the clock went back.
        let others = attempts.get(&key).into_iter().flat_map(|times| times.iter().skip(1));
        let is_first = others.min().is_none_or(|time| row.message_id.time() < *time);
        is_first && rejected.contains(&(row.sender_id, row.client_id))
    };
    let wrong = stored.iter().filter(is_wrong);
    wrong.map(|row| format!("#{} of {} was rejected after it was stored", row.seq, row.channel_id)).collect()
}

/// Who was told of what that it was rejected.
fn rejected(log: &SimulatedLog) -> HashSet<(UserId, ClientId)> {
    let batches = log
        .records(Topic::MessagesReceive)
        .into_iter()
        .filter_map(|record| ringside_wire::decode(record.payload).ok());
    let bodies = batches.flat_map(|batch: EdgeBatch| batch.items).filter_map(|item| item.body);
    let told = bodies.filter_map(|body| match body {
        edge_item::Body::Rejection(rejection) => {
            let sender = ringside_wire::user_id(&rejection.sender_id).ok()?;
            Some((sender, ringside_wire::client_id(&rejection.client_id).ok()?))
        }
        _ => None,
    });
    told.collect()
}
