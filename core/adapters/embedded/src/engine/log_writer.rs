//! The thread that writes the log: group commit.
//!
//! It takes all that has gathered while the last group was synced, makes one frame of it, syncs, lets readers see it,
//! and answers everyone. No delay is added: a lone request is written at once.
//!
//! After a failed write or sync nothing is written any more; only a restart reads back what the disk has.

use std::collections::BTreeMap;
use std::time::Instant;

use ringside_ports::EngineError;
use ringside_ports::log::{Append, Position, Record};
use ringside_segments::{Folder, LogError, Stream, Writer};
use ringside_types::{Topic, UnixMillis};
use tokio::sync::mpsc;

use super::{Core, Done, LogWork, Request, unavailable};
use crate::engine::counters::Counters;

/// Requests of one group at the most.
const GROUP_REQUESTS_MAX: usize = 1_024;
/// A group is closed once it holds this many bytes.
const GROUP_BYTES: usize = 4 * 1024 * 1024;

const _: () =
    assert!(GROUP_REQUESTS_MAX <= super::QUEUE_REQUESTS_MAX && GROUP_BYTES <= super::QUEUE_BYTES_MAX);

/// Writes until every sender of requests is gone.
pub(super) fn run(core: &Core, mut writer: Writer<Folder>, mut requests: mpsc::Receiver<Request>) {
    while let Some(first) = requests.blocking_recv() {
        let mut bytes = first.work.bytes();
        let mut group = vec![first];
        while group.len() < GROUP_REQUESTS_MAX && bytes < GROUP_BYTES {
            let Ok(next) = requests.try_recv() else { break };
            bytes += next.work.bytes();
            group.push(next);
        }
        if let Some(failure) = core.failed() {
            refuse(group, &failure);
        } else if let Some(refusal) = core.refusal() {
            // Retention makes room.
            let (trims, appends) =
                group.into_iter().partition(|request| matches!(request.work, LogWork::Trim(..)));
            refuse(appends, &refusal);
            write(core, &mut writer, trims);
        } else {
            write(core, &mut writer, group);
        }
    }
}

fn refuse(group: Vec<Request>, refusal: &EngineError) {
    for request in group {
        // A caller that has gone doesn't want to know.
        let _ = request.answer.send(Err(refusal.clone()));
    }
}

/// The new records of each stream.
type Added = BTreeMap<Stream, Vec<Record>>;

fn write(core: &Core, writer: &mut Writer<Folder>, group: Vec<Request>) {
    let (began, now) = (Instant::now(), core.config.clock.now());
    let (mut added, mut answers, mut trims) = (Added::new(), Vec::with_capacity(group.len()), Vec::new());
    for Request { work, answer, _room } in group {
        match work {
            LogWork::Append(records) => {
                answers.push((answer, stage(writer, now, records, &mut added), _room));
            }
            LogWork::Trim(before, applied) => trims.push((answer, before, applied)),
        }
    }
    match writer.sync(now) {
        Ok(()) => {
            // Who reads what they have appended, finds it. But who waits for records is woken last: an append is answered
            // before anything comes of it.
            let places: Vec<Stream> = added.keys().copied().collect();
            show(core, added);
            core.counters.wrote(began.elapsed(), answers.len());
            for (answer, positions, _room) in answers {
                let _ = answer.send(Ok(Done { positions, ..Done::default() }));
            }
            for Stream { topic, partition } in places {
                if let Ok(log) = core.log(topic, partition) {
                    log.wake();
                }
            }
        }
        Err(error) => {
            let refusal = failed(core, &error);
            for (answer, ..) in answers {
                let _ = answer.send(Err(refusal.clone()));
            }
        }
    }
    for (answer, before, applied) in trims {
        let is_applied = |stream: Stream, end: ringside_segments::End| {
            let applied = applied.get(usize::from(stream.partition.0));
            stream.topic != Topic::MessagesSend || applied.is_some_and(|progress| end.next <= progress.offset)
        };
        let trimmed = writer.trim(now, |stream, end| end.time < before && is_applied(stream, end));
        let done = trimmed.map(|_| Done { trimmed: begin_anew(core), ..Done::default() });
        let _ = answer.send(done.map_err(|error| failed(core, &error)));
    }
}

fn stage(
    writer: &mut Writer<Folder>,
    now: UnixMillis,
    records: Vec<Append>,
    added: &mut Added,
) -> Vec<Position> {
    let stage = |Append { topic, partition, payload }: Append| {
        let stream = Stream { topic, partition };
        let (offset, time) = writer.stage(stream, now, &payload);
        added.entry(stream).or_default().push(Record { offset, time, payload });
        Position { offset, time }
    };
    records.into_iter().map(stage).collect()
}

/// Lets readers see records that are durable now.
fn show(core: &Core, added: Added) {
    for (Stream { topic, partition }, records) in added {
        let bytes = records.iter().map(|record| record.payload.len() as u64).sum();
        Counters::add(&core.counters.records, records.len() as u64);
        Counters::add(&core.counters.record_bytes, bytes);
        // Requests are checked before they are queued.
        if let Ok(log) = core.log(topic, partition) {
            log.show(records);
        }
    }
}

/// Moves the starts to where the segments begin that are left; returns how many records went.
fn begin_anew(core: &Core) -> u64 {
    let mut trimmed = 0;
    for log in core.logs().filter(|log| log.is_in_segments()) {
        let (topic, partition) = log.place();
        let start = core.segments.start(Stream { topic, partition });
        trimmed += start.0.saturating_sub(log.start().0);
        log.begin_at(start);
    }
    Counters::add(&core.counters.trimmed, trimmed);
    trimmed
}

/// What callers are told; after a failure, nothing is written any more.
fn failed(core: &Core, error: &LogError) -> EngineError {
    match error {
        LogError::Refused(cause) => {
            tracing::error!(%cause, "the log could not be written; it is tried again with the next record");
        }
        _ => core.fail(error.to_string()),
    }
    unavailable(error.to_string())
}
