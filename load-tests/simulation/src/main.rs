//! `ringside-sim`: runs seeds, replays one.

use std::process::ExitCode;

use clap::Parser;
use ringside_simulation::{Options, run_all};

fn main() -> ExitCode {
    if run_all(&Options::parse()) { ExitCode::SUCCESS } else { ExitCode::FAILURE }
}
