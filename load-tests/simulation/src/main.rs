//! `ringside-sim`: runs seeds, replays one.

use std::panic::catch_unwind;
use std::process::ExitCode;
use std::time::{Duration, Instant};

use clap::Parser;
use ringside_simulation::{Outcome, Scale, run};

/// Simulates Ringside under faults, seed by seed; fails if any invariant is broken
#[derive(Parser)]
struct Options {
    /// The first seed
    #[arg(long, default_value_t = 1)]
    seed: u64,
    /// So many seeds, one after the other
    #[arg(long, default_value_t = 1)]
    seeds: u64,
    /// Prints all that happened
    #[arg(long)]
    trace: bool,
    /// Runs each seed twice, and compares what happened
    #[arg(long)]
    twice: bool,
    /// Users, each with one client
    #[arg(long, default_value_t = Scale::default().users)]
    users: u32,
    #[arg(long, default_value_t = Scale::default().channels)]
    channels: u32,
    #[arg(long, default_value_t = Scale::default().edges)]
    edges: u16,
    /// Seconds in which clients send, and things break
    #[arg(long, default_value_t = Scale::default().disturbed.as_secs())]
    disturbed: u64,
    /// Stops at the first seed that fails
    #[arg(long)]
    first: bool,
    /// Says only how many seeds failed
    #[arg(long)]
    quiet: bool,
}

fn main() -> ExitCode {
    let options = Options::parse();
    let scale = Scale {
        users: options.users,
        channels: options.channels,
        edges: options.edges,
        disturbed: Duration::from_secs(options.disturbed),
    };
    let began = now();
    let (mut failed, mut simulated, mut steps, mut messages) = (0, Duration::ZERO, 0, 0);
    for seed in options.seed..options.seed + options.seeds {
        let Ok(outcome) = catch_unwind(|| run(seed, scale, options.trace)) else {
            println!("seed {seed}: a panic");
            failed += 1;
            continue;
        };
        simulated += outcome.simulated;
        steps += outcome.steps;
        messages += outcome.messages;
        let differs = options.twice && run(seed, scale, false).hash != outcome.hash;
        if options.trace {
            outcome.lines.iter().for_each(|line| println!("{line}"));
        }
        if options.trace || (!options.quiet && (differs || !outcome.holds())) {
            report(&outcome, differs);
        }
        if differs || !outcome.holds() {
            failed += 1;
            if options.first {
                break;
            }
        }
    }
    let took = began.elapsed().as_secs_f64();
    println!(
        "{} seeds, {failed} failed; {:.1} seeds/s, {:.0} times faster than time; {messages} messages, {steps} steps",
        options.seeds,
        options.seeds as f64 / took,
        simulated.as_secs_f64() / took,
    );
    if failed == 0 { ExitCode::SUCCESS } else { ExitCode::FAILURE }
}

fn report(outcome: &Outcome, differs: bool) {
    println!("seed {}: hash {:016x}, {} messages", outcome.seed, outcome.hash, outcome.messages);
    if differs {
        println!("  a second run of it did something else");
    }
    outcome.broken.iter().for_each(|broken| println!("  {broken}"));
    outcome.verdict.violations.iter().take(5).for_each(|violation| println!("  {violation}"));
}

#[expect(clippy::disallowed_methods, reason = "how long it takes is told in real time")]
fn now() -> Instant {
    Instant::now()
}
