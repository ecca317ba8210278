//! The thread that writes: group commit.
//!
//! It takes all that has gathered while the last batch was synced, makes one batch of it, syncs, lets readers see it,
//! and answers everyone. No delay is added: a lone request is written at once.
//!
//! After a failed write or sync nothing is written any more. What the kernel did with the pages is unknown, and a later
//! sync that succeeds would say nothing about them (Rebello et al., "Can Applications Recover from fsync Failures?",
//! USENIX ATC 2020). Only a restart reads back what the disk has.

use std::time::{Duration, Instant};

use ringside_ports::EngineError;
use tokio::sync::mpsc;

use super::staging::{Highest, Staging};
use super::{Core, Request, unavailable};
use crate::engine::counters::Counters;
use crate::folder::free_bytes;

/// Requests of one batch at the most.
const BATCH_REQUESTS_MAX: usize = 1_024;
/// A batch is closed once it holds this many bytes.
const BATCH_BYTES: usize = 16 * 1024 * 1024;
/// How often the disk's room is looked at.
const ROOM_INTERVAL: Duration = Duration::from_secs(1);

const _: () =
    assert!(BATCH_REQUESTS_MAX <= super::QUEUE_REQUESTS_MAX && BATCH_BYTES <= super::QUEUE_BYTES_MAX);

/// Writes until every sender of requests is gone.
pub(super) fn run(core: &Core, mut highest: Highest, mut requests: mpsc::Receiver<Request>) {
    let mut room = Room { checked: None, short_of: None };
    while let Some(first) = requests.blocking_recv() {
        let mut bytes = first.work.bytes();
        let mut batch = vec![first];
        while batch.len() < BATCH_REQUESTS_MAX && bytes < BATCH_BYTES {
            let Ok(next) = requests.try_recv() else { break };
            bytes += next.work.bytes();
            batch.push(next);
        }
        if let Some(refusal) = refusal(core, &mut room) {
            answer_all(batch, &refusal);
        } else {
            write(core, &mut highest, batch);
        }
    }
}

fn refusal(core: &Core, room: &mut Room) -> Option<EngineError> {
    if let Some(cause) = core.failure.borrow().as_ref() {
        return Some(unavailable(format!("an earlier write failed: {cause}. Start Ringside again")));
    }
    room.refusal(core)
}

/// Whether the disk has room, looked at once in a while.
struct Room {
    checked: Option<Instant>,
    short_of: Option<u64>,
}

impl Room {
    fn refusal(&mut self, core: &Core) -> Option<EngineError> {
        if self.checked.is_none_or(|checked| checked.elapsed() >= ROOM_INTERVAL) {
            self.checked = Some(Instant::now());
            let least = core.config.free_bytes_min;
            // A system that can't say how much is free doesn't stop the writer; the write itself would.
            let short = free_bytes(core.folder.path()).ok().filter(|free| *free < least);
            if short.is_some() && self.short_of.is_none() {
                tracing::error!(free = short, needed = least, "the disk is almost full: nothing is written");
            }
            self.short_of = short;
        }
        let free = self.short_of?;
        Some(unavailable(format!("the disk is almost full ({free} bytes free): free some space")))
    }
}

fn write(core: &Core, highest: &mut Highest, batch: Vec<Request>) {
    let mut staging = Staging::new(core, highest);
    let mut answers = Vec::with_capacity(batch.len());
    let mut staged = Ok(());
    for Request { work, answer, _room } in batch {
        let done = staged.and_then(|()| staging.stage(work));
        staged = done.as_ref().map(|_| ()).map_err(Clone::clone);
        answers.push((answer, done, _room));
    }
    // A request that can't be staged has left a part of itself behind: nothing of this batch is written.
    let began = Instant::now();
    let written = staged.and_then(|()| staging.write());
    match written {
        Ok(()) => {
            core.counters.wrote(began.elapsed());
            Counters::add(&core.counters.requests, answers.len() as u64);
            for (answer, done, _room) in answers {
                // A caller that has gone doesn't want to know.
                let _ = answer.send(done);
            }
        }
        Err(error) => {
            tracing::error!(%error, "a write failed: nothing is written any more until Ringside is started again");
            core.failure.send_replace(Some(error.to_string()));
            for (answer, _, _room) in answers {
                let _ = answer.send(Err(unavailable(error.to_string())));
            }
        }
    }
}

fn answer_all(batch: Vec<Request>, refusal: &EngineError) {
    for request in batch {
        let _ = request.answer.send(Err(refusal.clone()));
    }
}
