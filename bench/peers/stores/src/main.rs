//! `peers-stores`: what one durable commit of messages costs in fjall, redb and SQLite. `run` beside it does all rounds.

mod engines;
mod load;
mod meter;
mod phases;

use std::path::PathBuf;
use std::time::Duration;

use clap::{Parser, Subcommand};
use engines::{Kind, Outcome};

/// The product's allocator.
#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

#[derive(Parser)]
struct Arguments {
    #[command(subcommand)]
    phase: Phase,
    /// The engine.
    #[arg(long, global = true, default_value = "fjall")]
    engine: Kind,
    /// Where it stores; a new folder but for `open`.
    #[arg(long, global = true, default_value = "stores-data")]
    folder: PathBuf,
    /// Messages of a fill.
    #[arg(long, global = true, default_value_t = 1_000_000)]
    messages: u64,
}

#[derive(Subcommand)]
enum Phase {
    /// Commits batches for some seconds.
    Load {
        #[arg(long)]
        batch: u64,
        #[arg(long, default_value_t = 20)]
        seconds: u64,
    },
    /// Fills a store, reads pages, says `ready` and waits to be killed.
    Fill,
    /// Opens what was killed.
    Open,
}

fn main() -> Outcome<()> {
    let Arguments { phase, engine, folder, messages } = Arguments::parse();
    match phase {
        Phase::Load { batch, seconds } => phases::load(engine, &folder, batch, Duration::from_secs(seconds)),
        Phase::Fill => phases::fill(engine, &folder, messages),
        Phase::Open => phases::open(engine, &folder, messages),
    }
}
