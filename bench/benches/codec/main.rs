//! What it costs to read a `message.send`: the product's reader against `simd-json`, in CPU time and allocations, and what
//! each does with JSON that nests.
//!
//! `cargo bench -p ringside-bench --bench codec` measures for a minute; under the test runner it reads a few frames with
//! each reader and compares what they say, so that it can't rot. Readers take turns, round after round.

mod frames;
mod nesting;
mod readers;

use std::hint::black_box;

use allocation_counter::measure;
use frames::{Case, cases};
use nesting::{LEVELS, Place};
use readers::{Reader, Scratch};
use ringside_wire::command::{Command, Envelope};
use rustix::time::{ClockId, clock_gettime};

/// How long to measure.
struct Effort {
    rounds: usize,
    /// CPU time of one sample.
    sample_ns: u64,
}

const BENCH: Effort = Effort { rounds: 9, sample_ns: 40_000_000 };
/// One look at each, for the test runner.
const TEST: Effort = Effort { rounds: 1, sample_ns: 1 };

fn main() {
    let mut words = std::env::args().skip(1);
    let first = words.next().unwrap_or_default();
    if first == "--nest" {
        return nesting::child(words).expect("--nest READER PLACE LEVELS");
    }
    let is_bench = first == "--bench" || words.any(|word| word == "--bench");
    let effort = if is_bench { BENCH } else { TEST };
    let cases = cases();
    cases.iter().for_each(all_readers_agree);
    print_readers(&cases, &effort);
    print_parts(&cases, &effort);
    print_nesting();
}

/// A reader that says something else than the product's would be no comparison.
fn all_readers_agree(case: &Case) {
    let mut scratch = Scratch::default();
    let parsed = |metadata: &str| serde_json::from_str::<serde_json::Value>(metadata).ok();
    for frame in &case.frames {
        for reader in Reader::ALL {
            let same = Reader::Ringside.read(&mut Scratch::default(), frame, |ours| {
                reader.read(&mut scratch, frame, |theirs| {
                    (ours.client_id, ours.channel_id, &ours.content)
                        == (theirs.client_id, theirs.channel_id, &theirs.content)
                        && (ours.content_type, ours.reply_to) == (theirs.content_type, theirs.reply_to)
                        && parsed(ours.metadata) == parsed(theirs.metadata)
                        && ours.content.len() == case.content_bytes
                })
            });
            assert_eq!(same, Ok(Ok(true)), "{} of {}", reader.name(), String::from_utf8_lossy(frame));
        }
    }
}

fn print_readers(cases: &[Case], effort: &Effort) {
    println!("ns of CPU a frame: median of {} rounds (least-most), allocations\n", effort.rounds);
    println!("| content |{} |", Reader::ALL.map(|reader| format!(" {} ", reader.name())).join("|"));
    println!("|---|{}", "---|".repeat(Reader::ALL.len()));
    for case in cases {
        let cells = measured(case, effort);
        let base = cells[0].median();
        let cells = cells.map(|cell| {
            let (least, most) = (cell.samples[0], cell.samples[cell.samples.len() - 1]);
            let (ns, ratio) = (cell.median(), cell.median() / base);
            format!(" {ns:.0} ({least:.0}-{most:.0}), x{ratio:.2}, {:.0} ", cell.allocations)
        });
        println!("| {} B, {} |{}|", case.content_bytes, case.kind.name(), cells.join("|"));
    }
}

/// What one reader took for one case.
#[derive(Default)]
struct Cell {
    /// Nanoseconds, least first.
    samples: Vec<f64>,
    allocations: f64,
}

impl Cell {
    fn median(&self) -> f64 {
        self.samples[self.samples.len() / 2]
    }
}

/// All readers over one case, in turn.
fn measured(case: &Case, effort: &Effort) -> [Cell; Reader::ALL.len()] {
    let mut scratches = Reader::ALL.map(|_| Scratch::default());
    let mut cells = Reader::ALL.map(|_| Cell::default());
    for _ in 0..effort.rounds {
        for ((reader, scratch), cell) in Reader::ALL.into_iter().zip(&mut scratches).zip(&mut cells) {
            cell.samples.push(sample(&case.frames, effort, |frame| read(reader, scratch, frame)));
        }
    }
    for ((reader, scratch), cell) in Reader::ALL.into_iter().zip(&mut scratches).zip(&mut cells) {
        cell.samples.sort_by(f64::total_cmp);
        cell.allocations = allocations(case, |frame| read(reader, scratch, frame));
    }
    cells
}

fn read(reader: Reader, scratch: &mut Scratch, frame: &[u8]) -> Result<(), String> {
    reader.read(scratch, frame, |send| {
        black_box(send);
    })
}

/// One step of reading a frame; says whether the frame was good.
type Part<'a> = &'a mut dyn FnMut(&[u8]) -> bool;

/// Where the product's time goes, and what the rest of the harness costs.
fn print_parts(cases: &[Case], effort: &Effort) {
    println!("\nthe product's parts, ns of CPU a frame, medians\n");
    println!("| content | depth | envelope | payload | beside: a copy | UTF-8 by simdutf8 |");
    println!("|---|---|---|---|---|---|");
    for case in cases {
        let mut copy = Vec::new();
        let mut parts: [Part<'_>; 5] = [
            &mut |frame| {
                copy.clear();
                copy.extend_from_slice(black_box(frame));
                !copy.is_empty()
            },
            &mut |frame| simdutf8::basic::from_utf8(black_box(frame)).is_ok(),
            &mut |frame| black_box(serde_json::from_slice::<Envelope<'_>>(frame)).is_ok(),
            &mut |frame| black_box(Envelope::read(frame)).is_ok(),
            &mut |frame| {
                let envelope = Envelope::read(frame);
                envelope.is_ok_and(|envelope| black_box(Command::read(&envelope)).is_ok())
            },
        ];
        let mut samples = parts.each_ref().map(|_| Vec::new());
        for _ in 0..effort.rounds {
            for (part, samples) in parts.iter_mut().zip(&mut samples) {
                let read = |frame: &[u8]| part(frame).then_some(()).ok_or("refused");
                samples.push(sample(&case.frames, effort, read));
            }
        }
        let [copied, checked, envelope, with_depth, whole] = samples.map(median);
        println!(
            "| {} B, {} | {:.0} | {envelope:.0} | {:.0} | {copied:.0} | {checked:.0} |",
            case.content_bytes,
            case.kind.name(),
            with_depth - envelope,
            whole - with_depth,
        );
    }
    let allocation = sample(&[vec![0; 1_024]], effort, |bytes| {
        black_box(bytes.to_vec());
        Ok::<(), ()>(())
    });
    println!("\nan allocation of 1 KiB, filled and given back, counted as all here are: {allocation:.0} ns");
}

fn print_nesting() {
    println!("\nJSON that nests, in a thread with a stack of 2 MiB");
    for levels in LEVELS {
        for place in Place::ALL {
            for reader in Reader::ALL {
                let outcome = nesting::trial(reader, place, levels);
                println!("{levels:>7} levels in `{}`, {}: {outcome}", place.name(), reader.name());
                let is_ours = matches!(reader, Reader::Ringside);
                assert!(!is_ours || outcome.starts_with("refused"), "{outcome}");
            }
        }
    }
}

/// Nanoseconds of this thread's CPU time that one frame takes.
fn sample<E: std::fmt::Debug>(
    frames: &[Vec<u8>],
    effort: &Effort,
    mut read: impl FnMut(&[u8]) -> Result<(), E>,
) -> f64 {
    let (began, mut count) = (thread_cpu_ns(), 0_u64);
    loop {
        // The clock is a system call: asked once in many frames, it costs nothing.
        for frame in frames.iter().cycle().take(frames.len().max(64)) {
            read(black_box(frame)).expect("the frame is good");
            count += 1;
        }
        let spent_ns = thread_cpu_ns() - began;
        if spent_ns >= effort.sample_ns {
            return spent_ns as f64 / count as f64;
        }
    }
}

/// Allocations that one frame takes, once buffers have grown.
fn allocations(case: &Case, mut read: impl FnMut(&[u8]) -> Result<(), String>) -> f64 {
    let mut all = || case.frames.iter().for_each(|frame| read(frame).expect("the frame is good"));
    all();
    measure(all).count_total as f64 / case.frames.len() as f64
}

fn thread_cpu_ns() -> u64 {
    let time = clock_gettime(ClockId::ThreadCPUTime);
    time.tv_sec as u64 * 1_000_000_000 + time.tv_nsec as u64
}

fn median(mut samples: Vec<f64>) -> f64 {
    samples.sort_by(f64::total_cmp);
    samples[samples.len() / 2]
}
