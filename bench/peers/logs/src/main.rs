//! Writes groups of records of 250 bytes to a log, each group durable before the next, and says what that takes.
//!
//! The product's log, and what the registry has: `okaywal` (segments, a checkpoint) and `raft-engine` (TiKV's, a log for each
//! of many Raft groups). `file`: the same bytes to one file, `fdatasync`.

use std::fs::{self, File};
use std::io::Write as _;
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use clap::Parser;
use okaywal::{Entry, EntryId, LogManager, SegmentReader, WriteAheadLog};
use raft_engine::{Config as RaftConfig, Engine, LogBatch, ReadableSize};
use ringside_segments::{Folder, Stream, Writer};
use ringside_types::{PartitionId, Topic, UnixMillis};
use rustix::time::{ClockId, clock_gettime};

#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

const RECORD_BYTES: usize = 250;
const PARTITIONS: u16 = 4;

#[derive(Parser)]
struct Arguments {
    /// A folder on the disk in question; what is in `logs-bench` there is removed.
    folder: PathBuf,
    /// Seconds for each cell.
    #[arg(long, default_value_t = 5)]
    seconds: u64,
    #[arg(long, default_value_t = 3)]
    rounds: u32,
}

/// Appends a group of so many records, and returns when it is durable.
trait Log {
    fn append(&mut self, group: usize);
}

/// Nothing is read back.
#[derive(Debug)]
struct KeepsNothing;

impl LogManager for KeepsNothing {
    fn recover(&mut self, _: &mut Entry<'_>) -> std::io::Result<()> {
        Ok(())
    }

    fn checkpoint_to(
        &mut self,
        _: EntryId,
        _: &mut SegmentReader,
        _: &WriteAheadLog,
    ) -> std::io::Result<()> {
        Ok(())
    }
}

struct Segments(Writer<Folder>);

impl Log for Segments {
    fn append(&mut self, group: usize) {
        let now = UnixMillis(1);
        for number in 0..group {
            let partition = PartitionId(number as u16 % PARTITIONS);
            self.0.stage(Stream { topic: Topic::MessagesSend, partition }, now, &[7; RECORD_BYTES]);
        }
        self.0.sync(now).expect("writes");
    }
}

struct Okay(WriteAheadLog);

impl Log for Okay {
    fn append(&mut self, group: usize) {
        let mut entry = self.0.begin_entry().expect("begins");
        for _ in 0..group {
            entry.write_chunk(&[7; RECORD_BYTES]).expect("writes");
        }
        entry.commit().expect("commits");
    }
}

struct Raft(Engine);

impl Log for Raft {
    fn append(&mut self, group: usize) {
        let mut batch = LogBatch::with_capacity(group);
        for number in 0..group {
            let key = (number as u64).to_be_bytes().to_vec();
            batch.put(1 + number as u64 % u64::from(PARTITIONS), key, vec![7; RECORD_BYTES]).expect("puts");
        }
        self.0.write(&mut batch, true).expect("writes");
    }
}

struct Plain(File);

impl Log for Plain {
    fn append(&mut self, group: usize) {
        self.0.write_all(&vec![7; group * RECORD_BYTES]).expect("writes");
        self.0.sync_data().expect("syncs");
    }
}

fn open(name: &str, folder: &Path) -> Box<dyn Log> {
    match name {
        "segments" => {
            let disk = Folder::open(folder.join("log")).expect("a folder");
            Box::new(Segments(Writer::open(disk, Default::default(), 7, UnixMillis(1), &[]).expect("opens")))
        }
        "okaywal" => Box::new(Okay(WriteAheadLog::recover(folder.join("log"), KeepsNothing).expect("opens"))),
        "raft-engine" => {
            let config = RaftConfig {
                dir: folder.join("log").to_string_lossy().into_owned(),
                batch_compression_threshold: ReadableSize(0),
                ..RaftConfig::default()
            };
            Box::new(Raft(Engine::open(config).expect("opens")))
        }
        _ => Box::new(Plain(File::create(folder.join("log")).expect("a file"))),
    }
}

fn cpu() -> Duration {
    let time = clock_gettime(ClockId::ProcessCPUTime);
    Duration::new(time.tv_sec as u64, time.tv_nsec as u32)
}

fn main() {
    let Arguments { folder, seconds, rounds } = Arguments::parse();
    println!("group | log | groups/s | messages/s | CPU µs a message | p50 ms | p99 ms");
    for group in [1, 16, 256] {
        for _ in 0..rounds {
            for name in ["file", "segments", "okaywal", "raft-engine"] {
                let place = folder.join("logs-bench");
                let _ = fs::remove_dir_all(&place);
                fs::create_dir_all(&place).expect("a folder");
                measure(name, group, Duration::from_secs(seconds), open(name, &place));
                let _ = fs::remove_dir_all(&place);
            }
        }
    }
}

fn measure(name: &str, group: usize, time: Duration, mut log: Box<dyn Log>) {
    log.append(group);
    let (began, cpu_before, mut took) = (Instant::now(), cpu(), Vec::new());
    while began.elapsed() < time {
        let at = Instant::now();
        log.append(group);
        took.push(at.elapsed());
    }
    let (cpu, elapsed) = (cpu() - cpu_before, began.elapsed().as_secs_f64());
    took.sort_unstable();
    let at = |part: f64| took[((took.len() - 1) as f64 * part) as usize].as_secs_f64() * 1_000.0;
    let messages = (took.len() * group) as f64;
    println!(
        "{group} | {name} | {:.0} | {:.0} | {:.2} | {:.3} | {:.3}",
        took.len() as f64 / elapsed,
        messages / elapsed,
        cpu.as_secs_f64() * 1e6 / messages,
        at(0.5),
        at(0.99)
    );
}
