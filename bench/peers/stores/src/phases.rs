//! What is measured, a process each: a load of some seconds; a fill, then pages of it; an opening after the fill was killed.

use std::io::Write as _;
use std::path::Path;
use std::time::{Duration, Instant};

use crate::engines::{Kind, Outcome};
use crate::load::{Batch, CHANNELS, Message, channel};
use crate::meter::{cpu_us, occupied_bytes, percentile, written_bytes};

/// Messages of a page.
const PAGE_ROWS: usize = 100;
/// Pages that are read.
const PAGES: u64 = 2_000;
/// Messages of a commit while a store is filled.
const FILL_BATCH: u64 = 1_024;
/// After a fill, background work comes to rest.
const REST: Duration = Duration::from_secs(5);

/// Commits batches one after the other for some time.
pub fn load(kind: Kind, folder: &Path, batch: u64, time: Duration) -> Outcome<()> {
    let mut engine = kind.open(folder)?;
    let (mut messages, mut latencies_us) = (0, Vec::new());
    let (began, cpu_before, written_before) = (Instant::now(), cpu_us(), written_bytes()?);
    while began.elapsed() < time {
        let batch = Batch::new(messages, batch);
        let commit = Instant::now();
        engine.commit(&batch)?;
        latencies_us.push(commit.elapsed().as_micros() as u64);
        messages += batch.messages.len() as u64;
    }
    let (seconds, cpu) = (began.elapsed().as_secs_f64(), cpu_us() - cpu_before);
    // Closed, so that what it still had to write is counted.
    drop(engine);
    let per_message = |figure: u64| figure as f64 / messages as f64;
    println!(
        "messages_per_s={:.0} cpu_us={:.2} p50_us={} p99_us={} max_us={} written={:.0} occupied={:.0}",
        messages as f64 / seconds,
        per_message(cpu),
        percentile(&mut latencies_us, 0.5),
        percentile(&mut latencies_us, 0.99),
        percentile(&mut latencies_us, 1.0),
        per_message(written_bytes()? - written_before),
        per_message(occupied_bytes(folder)?),
    );
    Ok(())
}

/// Fills a store, reads pages of it, says `ready` and waits to be killed.
pub fn fill(kind: Kind, folder: &Path, messages: u64) -> Outcome<()> {
    let mut engine = kind.open(folder)?;
    let (began, cpu_before, written_before) = (Instant::now(), cpu_us(), written_bytes()?);
    for first in (0..messages).step_by(FILL_BATCH as usize) {
        engine.commit(&Batch::new(first, FILL_BATCH.min(messages - first)))?;
    }
    let seconds = began.elapsed().as_secs_f64();
    std::thread::sleep(REST);
    let (cpu, written) = (cpu_us() - cpu_before, written_bytes()? - written_before);
    let occupied = occupied_bytes(folder)?;
    let mut pages_us = Vec::new();
    for number in 0..PAGES {
        // Every fifth channel: an order that no engine knows, for ids are spread.
        let channel = channel(number * 5 % CHANNELS);
        let read = Instant::now();
        let rows = engine.page(&channel, PAGE_ROWS)?;
        pages_us.push(read.elapsed().as_micros() as u64);
        if messages >= CHANNELS * 100 && rows < PAGE_ROWS / 2 {
            return Err(format!("only {rows} rows in a channel").into());
        }
    }
    println!(
        "messages_per_s={:.0} cpu_us={:.2} written={:.0} occupied={:.0} page_p50_us={} page_p99_us={}",
        messages as f64 / seconds,
        cpu as f64 / messages as f64,
        written as f64 / messages as f64,
        occupied as f64 / messages as f64,
        percentile(&mut pages_us, 0.5),
        percentile(&mut pages_us, 0.99),
    );
    // One more commit, answered: it must be there after the kill.
    engine.commit(&Batch::new(messages, FILL_BATCH))?;
    println!("ready");
    std::io::stdout().flush()?;
    loop {
        std::thread::park();
    }
}

/// Opens what a killed process left, and looks for the last message that it answered.
pub fn open(kind: Kind, folder: &Path, messages: u64) -> Outcome<()> {
    let (began, cpu_before) = (Instant::now(), cpu_us());
    let engine = kind.open(folder)?;
    let (opened, cpu) = (began.elapsed(), cpu_us() - cpu_before);
    let last = Message::new(messages + FILL_BATCH - 1);
    let held = engine.holds(&last)?;
    let first_read = began.elapsed();
    println!(
        "open_ms={:.1} open_cpu_ms={:.1} first_read_ms={:.1} held={held}",
        ms(opened),
        cpu as f64 / 1_000.0,
        ms(first_read)
    );
    if held { Ok(()) } else { Err("the last message that was answered is gone".into()) }
}

fn ms(time: Duration) -> f64 {
    time.as_secs_f64() * 1_000.0
}
