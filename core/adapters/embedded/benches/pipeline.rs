//! The load of the pipeline.
//!
//! `cargo bench -p ringside-embedded` runs it for ten seconds at full speed, then at 20,000 a second; under the test
//! runner it takes a tiny input, so that it can't rot. Latency is counted from the time that a
//! message was due.

mod load;

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::time::{Duration, Instant};

use ringside_embedded::{Config, Engine};
use ringside_ports::Log;
use ringside_types::{Offset, PartitionId};

use load::{PARTITIONS, process, records};

#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

/// How often an appender takes what is due, as the edge does once a turn.
const TURN: Duration = Duration::from_micros(500);
/// Messages of one append at the most.
const TURN_MESSAGES_MAX: u64 = 256;

fn main() {
    let is_bench = std::env::args().any(|word| word == "--bench");
    let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(2).enable_all().build();
    let runtime = runtime.expect("a runtime");
    let rounds: &[(u64, u64)] =
        if is_bench { &[(u64::MAX, 10_000), (20_000, 10_000)] } else { &[(2_000, 50)] };
    for (rate, ms) in rounds {
        runtime.block_on(round(*rate, Duration::from_millis(*ms)));
    }
}

/// Runs at `rate` messages a second, or as fast as answers come, and prints what it took.
async fn round(rate: u64, time: Duration) {
    let folder = tempfile::tempdir().expect("a temporary folder");
    let engine =
        Engine::open(folder.path(), Config { free_bytes_min: 0, ..Config::default() }).expect("opens");
    let (appended, done) = (Arc::new(AtomicU64::new(0)), Arc::new(AtomicBool::new(false)));
    let (cpu, began) = (cpu_seconds(), Instant::now());
    let mut appenders = Vec::new();
    let mut processors = Vec::new();
    for number in 0..PARTITIONS {
        let (log, total) = (engine.log(), Arc::clone(&appended));
        appenders.push(tokio::spawn(append(log, PartitionId(number), rate, began, time, total)));
        processors.push(tokio::spawn(process(
            engine.clone(),
            PartitionId(number),
            Offset(0),
            Arc::clone(&done),
        )));
    }
    let mut acks = Vec::new();
    for appender in appenders {
        acks.extend(appender.await.expect("appends"));
    }
    done.store(true, Ordering::Release);
    let mut committed = 0;
    for processor in processors {
        committed += processor.await.expect("processes").0;
    }
    let (seconds, cpu) = (began.elapsed().as_secs_f64(), cpu_seconds() - cpu);
    assert_eq!(committed, appended.load(Ordering::Relaxed), "every message was committed");
    let counters = engine.counters();
    let batches = counters.batches.load(Ordering::Relaxed);
    let write_us = counters.write_us.load(Ordering::Relaxed);
    acks.sort_unstable();
    let at = |part: f64| acks[((acks.len() - 1) as f64 * part) as usize] as f64 / 1_000.0;
    println!(
        "rate {}: {:.0} messages/s, {:.1} us of CPU each, {:.0} batches/s of {:.1} messages, {:.0} us a write; \
         ack ms p50 {:.2} p99 {:.2} p99.9 {:.2}",
        if rate == u64::MAX { "full".into() } else { rate.to_string() },
        committed as f64 / seconds,
        cpu * 1e6 / committed as f64,
        batches as f64 / seconds,
        committed as f64 / batches as f64,
        write_us as f64 / batches as f64,
        at(0.5),
        at(0.99),
        at(0.999),
    );
}

/// Appends what is due, at most a turn's worth at once; returns the microseconds from due to answered, per append.
async fn append(
    log: impl Log,
    partition: PartitionId,
    rate: u64,
    began: Instant,
    time: Duration,
    total: Arc<AtomicU64>,
) -> Vec<u64> {
    let rate = if rate == u64::MAX { rate } else { rate / u64::from(PARTITIONS) };
    let (mut sent, mut took) = (0_u64, Vec::new());
    while began.elapsed() < time {
        let due =
            if rate == u64::MAX { u64::MAX } else { (began.elapsed().as_secs_f64() * rate as f64) as u64 };
        let count = due.saturating_sub(sent).min(TURN_MESSAGES_MAX);
        if count == 0 {
            tokio::time::sleep(TURN).await;
            continue;
        }
        let oldest_due = if rate == u64::MAX {
            began.elapsed()
        } else {
            Duration::from_secs_f64(sent as f64 / rate as f64)
        };
        log.append(records(partition, sent, count)).await.expect("appends");
        took.push(began.elapsed().saturating_sub(oldest_due).as_micros() as u64);
        sent += count;
    }
    total.fetch_add(sent, Ordering::Relaxed);
    took
}

/// User and system time of this process, all threads.
fn cpu_seconds() -> f64 {
    let stat = std::fs::read_to_string("/proc/self/stat").expect("Linux");
    let after_name = stat.rsplit_once(')').expect("a name in brackets").1;
    let fields: Vec<&str> = after_name.split_whitespace().collect();
    let ticks = |field: usize| fields[field].parse::<u64>().expect("ticks");
    // Fields 14 and 15 of proc(5), counted from the state, which is the third; a tick is 10 ms on Linux.
    (ticks(11) + ticks(12)) as f64 / 100.0
}
