//! Many seeds, on several threads.

use std::panic::catch_unwind;
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Mutex, PoisonError};
use std::thread;
use std::time::{Duration, Instant};

use clap::Parser;

use crate::diagram::draw;
use crate::plan::Plan;
use crate::replay::{Replayed, replay};
use crate::shrink::{Case, shrink};
use crate::world::{Outcome, Scale, plan, run_plan};

/// Simulates Ringside under faults, seed by seed; fails if any invariant is broken
#[derive(Debug, Parser)]
pub struct Options {
    /// The seed to begin with; the others follow it by number
    #[arg(long, default_value_t = 1)]
    seed: u64,
    /// So many seeds, one after the other
    #[arg(long, default_value_t = 1)]
    seeds: u64,
    /// How many seeds run at the same time, each on a thread of its own
    #[arg(long, default_value_t = 1)]
    threads: u32,
    /// Prints all that happened
    #[arg(long)]
    trace: bool,
    /// Runs each seed twice, and compares what happened
    #[arg(long)]
    twice: bool,
    /// Members of all channels, each with one client that sends
    #[arg(long, default_value_t = Scale::default().users)]
    users: u32,
    /// Those who are evicted and readmitted
    #[arg(long, default_value_t = Scale::default().guests)]
    guests: u32,
    #[arg(long, default_value_t = Scale::default().channels)]
    channels: u32,
    #[arg(long, default_value_t = Scale::default().edges)]
    edges: u16,
    /// Milliseconds in which clients send, and things break
    #[arg(long, default_value_t = Scale::default().disturbed.as_millis() as u64)]
    disturbed_ms: u64,
    /// Milliseconds between two actions of a client, on average
    #[arg(long, default_value_t = Scale::default().pause.as_millis() as u64)]
    pause_ms: u64,
    /// These faults instead of those that the seed brings, like `3.2 kill edge 0; 5.1 pause processor 1 2500`
    #[arg(long)]
    faults: Option<Plan>,
    /// Does not look for a shorter history of the first seed that fails
    #[arg(long)]
    no_shrink: bool,
    /// Stops at the first seed that fails
    #[arg(long)]
    first: bool,
    /// Says only how many seeds failed
    #[arg(long)]
    quiet: bool,
    /// Instead of a simulation: has today's machines take in again what a server recorded in this folder (`recording_dir`)
    #[arg(long)]
    replay: Option<PathBuf>,
}

/// Runs the seeds that are asked for, and prints what came of them; false: some failed.
pub fn run_all(options: &Options) -> bool {
    if let Some(folder) = &options.replay {
        return show_replay(folder);
    }
    let scale = Scale {
        users: options.users,
        guests: options.guests,
        channels: options.channels,
        edges: options.edges,
        disturbed: Duration::from_millis(options.disturbed_ms),
        pause: Duration::from_millis(options.pause_ms),
    };
    let began = Instant::now();
    let next = AtomicU64::new(options.seed);
    let totals = Mutex::new(Totals::default());
    thread::scope(|scope| {
        for _ in 0..options.threads {
            scope.spawn(|| run_seeds(options, scale, &next, &totals));
        }
    });
    let took = began.elapsed().as_secs_f64();
    let Totals { seeds, failed, first, simulated, steps, messages } =
        totals.into_inner().unwrap_or_else(PoisonError::into_inner);
    println!(
        "{seeds} seeds, {failed} failed; {:.1} seeds/s, {:.0} times faster than time; {messages} messages, {steps} steps",
        f64::from(seeds) / took,
        simulated.as_secs_f64() / took,
    );
    if let Some(seed) = first.filter(|_| !options.no_shrink && !options.quiet) {
        let plan = options.faults.clone().unwrap_or_else(|| plan(seed, &scale));
        show_shortest(Case { seed, scale, plan });
    }
    failed == 0
}

/// Prints the shortest history that is found to fail as this one does, and how to run it again.
fn show_shortest(case: Case) {
    let seed = case.seed;
    let Some(shortest) = shrink(case) else { return };
    println!("\nthe shortest history that was found to fail as seed {seed} does:");
    if let Some(outcome) = shortest.run() {
        print!("{}", draw(&outcome));
        report(&outcome, false);
    }
    println!("run it again: {}", shortest.command());
}

fn show_replay(folder: &Path) -> bool {
    match replay(folder) {
        Ok(Replayed { inputs, sends, bytes, left }) => {
            let cut = if left > 0 {
                format!("; {left} inputs are left, where the recording is cut off")
            } else {
                String::new()
            };
            println!("{inputs} inputs, {sends} sends of {bytes} bytes: all the same{cut}");
            true
        }
        Err(error) => {
            eprintln!("ringside-sim: {error}");
            false
        }
    }
}

/// What all seeds came to.
#[derive(Default)]
struct Totals {
    seeds: u32,
    failed: u32,
    /// One that failed, of the first that were run.
    first: Option<u64>,
    simulated: Duration,
    steps: u64,
    messages: usize,
}

/// Takes one seed after the other until there is none left.
fn run_seeds(options: &Options, scale: Scale, next: &AtomicU64, totals: &Mutex<Totals>) {
    let end = options.seed.saturating_add(options.seeds);
    loop {
        let seed = next.fetch_add(1, Ordering::Relaxed);
        if seed >= end {
            return;
        }
        let ran = catch_unwind(|| {
            let plan = options.faults.clone().unwrap_or_else(|| plan(seed, &scale));
            let outcome = run_plan(seed, scale, &plan, options.trace);
            let differs = options.twice && run_plan(seed, scale, &plan, false).hash != outcome.hash;
            (outcome, differs)
        });
        // Reports of several threads are not mixed.
        let mut totals = totals.lock().unwrap_or_else(PoisonError::into_inner);
        totals.seeds += 1;
        let Ok((outcome, differs)) = ran else {
            println!("seed {seed}: a panic");
            totals.failed += 1;
            totals.first.get_or_insert(seed);
            continue;
        };
        totals.simulated += outcome.simulated;
        totals.steps += outcome.steps;
        totals.messages += outcome.messages;
        let has_failed = differs || !outcome.holds();
        totals.failed += u32::from(has_failed);
        if has_failed && !differs {
            totals.first.get_or_insert(seed);
        }
        if options.trace {
            outcome.trace.iter().for_each(|step| println!("{step}"));
        }
        if options.trace || (has_failed && !options.quiet) {
            report(&outcome, differs);
        }
        if has_failed && options.first {
            next.store(end, Ordering::Relaxed);
        }
    }
}

fn report(outcome: &Outcome, differs: bool) {
    println!("seed {}: hash {:016x}, {} messages", outcome.seed, outcome.hash, outcome.messages);
    if differs {
        println!("  a second run of it did something else");
    }
    outcome.broken.iter().for_each(|broken| println!("  {broken}"));
    outcome.verdict.violations.iter().take(5).for_each(|violation| println!("  {violation}"));
}
