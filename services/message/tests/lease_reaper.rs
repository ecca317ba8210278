//! Dead edges are struck off in the log, once they have been silent for ten minutes of its time: over restarts, and
//! over appends that fail.

#[allow(dead_code, reason = "the crash tests look deeper into the same cluster")]
mod support;

use std::time::Duration;

use ringside_application::consumer::{Consumer, Handler as _, HandlerError, Rules, Step};
use ringside_domain::leases::LEASE_SILENCE_MS;
use ringside_message::lease_reaper::LeaseReaper;
use ringside_ports::log::{Append, Commit, ReadLimit};
use ringside_ports::{EngineError, Log};
use ringside_types::{PartitionId, Topic, UnixMillis};
use ringside_wire::records::{Claim, Command, Control, EpochDead, Tick, command, control};
use support::Memory;

const CONTROL: PartitionId = PartitionId(0);
const TICK_MS: i64 = 500;
const SILENCE_TICKS: u64 = LEASE_SILENCE_MS / TICK_MS as u64;

fn block_on<F: Future>(future: F) -> F::Output {
    tokio::runtime::Builder::new_current_thread().build().expect("a runtime").block_on(future)
}

async fn show(log: &Memory, body: control::Body) {
    let payload = ringside_wire::encode(&Control { body: Some(body) });
    let append = Append { topic: Topic::Control, partition: CONTROL, payload };
    log.append(vec![append]).await.expect("memory appends");
}

async fn claim(log: &Memory, slot: u32) {
    show(log, control::Body::Claim(Claim { slot, nonce: bytes::Bytes::new() })).await;
}

async fn ticks(log: &Memory, slot: u32, epoch: u64, count: u64) {
    for number in 0..count {
        log.advance(TICK_MS);
        show(log, control::Body::Tick(Tick { slot, epoch, number })).await;
    }
}

/// A reaper that starts anew, and reads until all of `control` has been read; an error: it stopped there.
async fn read_all(log: &Memory) -> Result<(), HandlerError<EngineError>> {
    const LIMIT: ReadLimit = ReadLimit { records: 4_096, bytes: 1 << 20 };
    let reaper = LeaseReaper { log: log.clone() };
    let pause = Duration::from_secs(1);
    let mut consumer = Consumer::new(Rules { commit_every: 256, pause, pause_max: pause });
    let (mut leases, from) = reaper.open(CONTROL).await?;
    consumer.opened(from);
    let mut records = Vec::new();
    loop {
        match consumer.poll() {
            Step::Read(from) => {
                records = log.read(Topic::Control, CONTROL, from, LIMIT, Duration::ZERO).await?;
                if records.is_empty() {
                    return Ok(());
                }
                consumer.read(records.last().map(|record| record.offset));
            }
            Step::Handle => {
                consumer.handled(reaper.handle(&mut leases, std::mem::take(&mut records)).await?);
            }
            Step::Commit(offset) => {
                let commit = Commit { offset, metadata: bytes::Bytes::new() };
                log.commit("janitor", Topic::Control, CONTROL, commit).await?;
                consumer.committed();
            }
            step => panic!("{step:?} in a reaper that does not fail"),
        }
    }
}

fn struck_off(log: &Memory) -> Vec<EpochDead> {
    let commands = log.records(Topic::MessagesSend, PartitionId(0)).into_iter();
    let dead = commands.map(|record| match ringside_wire::decode::<Command>(record.payload) {
        Ok(Command { body: Some(command::Body::EpochDead(dead)) }) => dead,
        other => panic!("{other:?} is no word of the reaper"),
    });
    dead.collect()
}

#[test]
fn a_dead_edge_is_struck_off_and_the_living_one_is_not() {
    block_on(async {
        let log = Memory::new(UnixMillis(1_000_000_000), 64);
        claim(&log, 0).await;
        claim(&log, 1).await;
        ticks(&log, 1, 1, SILENCE_TICKS - 1).await;
        read_all(&log).await.expect("memory answers");
        assert_eq!(struck_off(&log), []);
        ticks(&log, 1, 1, SILENCE_TICKS * 3).await;
        read_all(&log).await.expect("memory answers");
        assert_eq!(struck_off(&log), [EpochDead { slot: 0, epoch: 0 }]);
    });
}

#[test]
fn a_reaper_that_starts_anew_remembers_who_was_silent_and_reads_no_more_than_it_must() {
    block_on(async {
        let log = Memory::new(UnixMillis(1_000_000_000), 64);
        claim(&log, 0).await;
        claim(&log, 1).await;
        for _ in 0..4 {
            ticks(&log, 1, 1, SILENCE_TICKS / 3).await;
            read_all(&log).await.expect("memory answers");
        }
        assert_eq!(struck_off(&log), [EpochDead { slot: 0, epoch: 0 }]);
        let noted = log.committed("janitor", Topic::Control, CONTROL).await.expect("memory answers");
        let noted = noted.expect("a note of how far it is").offset.0;
        let end = log.records(Topic::Control, CONTROL).len() as u64;
        assert!(end - noted < 1_000, "{noted} of {end}");
    });
}

#[test]
fn an_append_that_fails_is_made_good_by_the_next_reaper() {
    block_on(async {
        let log = Memory::new(UnixMillis(1_000_000_000), 1 << 20);
        claim(&log, 0).await;
        claim(&log, 1).await;
        ticks(&log, 1, 1, SILENCE_TICKS).await;
        log.crash_after(0);
        read_all(&log).await.expect_err("the log refuses");
        log.restart();
        read_all(&log).await.expect("memory answers");
        assert_eq!(struck_off(&log), [EpochDead { slot: 0, epoch: 0 }]);
    });
}
