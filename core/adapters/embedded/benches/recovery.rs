//! How long a data folder takes to open that a process left which was killed, and how long once it was closed.
//!
//! `cargo bench -p ringside-embedded --bench recovery` fills a folder with ten million messages (7 GB, in the folder for
//! temporary files) and says it after each million; under the test runner it takes a tiny input, so that it can't rot.
//! The process that fills is another one, so that it can be killed.

mod load;

use std::io::{BufRead, BufReader, Write};
use std::path::Path;
use std::process::{Command, Stdio};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

use ringside_embedded::{Config, Engine};
use ringside_ports::Log;
use ringside_types::{Offset, PartitionId, Topic};

use load::{PARTITIONS, process, records};

#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

/// Messages of one append.
const APPENDED: u64 = 256;
/// The word before the folder and the count of messages: this process fills.
const FILL: &str = "fill";

fn main() {
    let words: Vec<String> = std::env::args().collect();
    if let Some(at) = words.iter().position(|word| word == FILL) {
        let count = words[at + 2].parse().expect("a count");
        return fill(Path::new(&words[at + 1]), count);
    }
    let is_bench = words.iter().any(|word| word == "--bench");
    let (rounds, count) = if is_bench { (10, 1_000_000) } else { (2, 2_000) };
    let folder = tempfile::tempdir().expect("a temporary folder");
    for round in 1..=rounds {
        fill_and_kill(folder.path(), count);
        let (killed, closed) = (open(folder.path()), open(folder.path()));
        println!("{} messages: {killed:.2?} after SIGKILL, {closed:.2?} once closed", round * count);
    }
}

/// Opens the folder, and closes it; returns how long opening took.
fn open(folder: &Path) -> Duration {
    let began = Instant::now();
    let engine = Engine::open(folder, config()).expect("opens");
    let took = began.elapsed();
    drop(engine);
    took
}

fn config() -> Config {
    Config { free_bytes_min: 0, ..Config::default() }
}

/// Has another process add messages to the folder, and kills it.
fn fill_and_kill(folder: &Path, count: u64) {
    let own = std::env::current_exe().expect("this program");
    let mut child = Command::new(own)
        .args([FILL, folder.to_str().expect("UTF-8"), &count.to_string()])
        .stdout(Stdio::piped())
        .spawn()
        .expect("starts");
    let mut line = String::new();
    BufReader::new(child.stdout.take().expect("piped")).read_line(&mut line).expect("reads");
    assert_eq!(line, "filled\n", "the process that fills has not ended early");
    child.kill().expect("kills");
    child.wait().expect("waits");
}

/// Adds messages to a folder, says so, and waits to be killed.
fn fill(folder: &Path, count: u64) {
    let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(2).enable_all().build();
    let engine = Engine::open(folder, config()).expect("opens");
    runtime.expect("a runtime").block_on(write(&engine, count / u64::from(PARTITIONS)));
    println!("filled");
    std::io::stdout().flush().expect("writes");
    loop {
        std::thread::park();
    }
}

/// Adds so many messages to each partition.
async fn write(engine: &Engine, count: u64) {
    let done = Arc::new(AtomicBool::new(false));
    let (mut appenders, mut processors) = (Vec::new(), Vec::new());
    for number in 0..PARTITIONS {
        let (log, partition) = (engine.log(), PartitionId(number));
        let end = log.bounds(Topic::MessagesSend, partition).await.expect("bounds").end;
        appenders.push(tokio::spawn(append(log, partition, end, count)));
        processors.push(tokio::spawn(process(engine.clone(), partition, end, Arc::clone(&done))));
    }
    for appender in appenders {
        appender.await.expect("appends");
    }
    done.store(true, Ordering::Release);
    for processor in processors {
        processor.await.expect("processes");
    }
}

async fn append(log: impl Log, partition: PartitionId, from: Offset, count: u64) {
    for first in (from.0..from.0 + count).step_by(APPENDED as usize) {
        let count = APPENDED.min(from.0 + count - first);
        log.append(records(partition, first, count)).await.expect("appends");
    }
}
