//! Dead edges are struck off in the log, once they have been silent for ten minutes of its time: over restarts, and
//! over appends that fail.

#[allow(dead_code, reason = "the crash tests look deeper into the same world")]
mod support;

use ringside_domain::tenures::TENURE_SILENCE_MS;
use ringside_message::janitor::Janitor;
use ringside_ports::Log;
use ringside_ports::log::Append;
use ringside_types::{PartitionId, Topic, UnixMillis};
use ringside_wire::records::{Claim, Command, Control, EpochDead, Tick, command, control};
use support::Memory;

const CONTROL: PartitionId = PartitionId(0);
const TICK_MS: i64 = 500;
const SILENCE_TICKS: u64 = TENURE_SILENCE_MS / TICK_MS as u64;

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

/// Turns until all of `control` has been read.
async fn read_all(janitor: &mut Janitor, log: &Memory) {
    for _ in 0..=log.records(Topic::Control, CONTROL).len() {
        janitor.turn(log).await.expect("memory answers");
    }
}

fn struck_off(log: &Memory) -> Vec<EpochDead> {
    let commands = log.records(Topic::MessagesSend, PartitionId(0)).into_iter();
    let dead = commands.map(|record| match ringside_wire::decode::<Command>(record.payload) {
        Ok(Command { body: Some(command::Body::EpochDead(dead)) }) => dead,
        other => panic!("{other:?} is no word of the janitor"),
    });
    dead.collect()
}

#[test]
fn a_dead_edge_is_struck_off_and_the_living_one_is_not() {
    block_on(async {
        let log = Memory::new(UnixMillis(1_000_000_000), 64);
        claim(&log, 0).await;
        claim(&log, 1).await;
        let mut janitor = Janitor::open(&log).await.expect("memory answers");
        ticks(&log, 1, 1, SILENCE_TICKS - 1).await;
        read_all(&mut janitor, &log).await;
        assert_eq!(struck_off(&log), []);
        ticks(&log, 1, 1, SILENCE_TICKS * 3).await;
        read_all(&mut janitor, &log).await;
        assert_eq!(struck_off(&log), [EpochDead { slot: 0, epoch: 0 }]);
    });
}

#[test]
fn a_janitor_that_starts_anew_remembers_who_was_silent_and_reads_no_more_than_it_must() {
    block_on(async {
        let log = Memory::new(UnixMillis(1_000_000_000), 64);
        claim(&log, 0).await;
        claim(&log, 1).await;
        for _ in 0..4 {
            ticks(&log, 1, 1, SILENCE_TICKS / 3).await;
            let mut janitor = Janitor::open(&log).await.expect("memory answers");
            read_all(&mut janitor, &log).await;
        }
        assert_eq!(struck_off(&log), [EpochDead { slot: 0, epoch: 0 }]);
        let noted = log.committed("janitor", Topic::Control, CONTROL).await.expect("memory answers");
        let noted = noted.expect("a note of how far it is").offset.0;
        let end = log.records(Topic::Control, CONTROL).len() as u64;
        assert!(end - noted < 1_000, "{noted} of {end}");
    });
}

#[test]
fn an_append_that_fails_is_made_good_by_the_next_janitor() {
    block_on(async {
        let log = Memory::new(UnixMillis(1_000_000_000), 1 << 20);
        claim(&log, 0).await;
        claim(&log, 1).await;
        ticks(&log, 1, 1, SILENCE_TICKS).await;
        let mut janitor = Janitor::open(&log).await.expect("memory answers");
        log.crash_after(0);
        janitor.turn(&log).await.expect_err("the log refuses");
        log.restart();
        let mut janitor = Janitor::open(&log).await.expect("memory answers");
        read_all(&mut janitor, &log).await;
        assert_eq!(struck_off(&log), [EpochDead { slot: 0, epoch: 0 }]);
    });
}
