//! The binary `ringside`.

use std::process::ExitCode;

use clap::Parser as _;
use ringside_launch::cli::Cli;
use ringside_launch::commands;

#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

fn main() -> ExitCode {
    match commands::run(&Cli::parse()) {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("ringside: {error}");
            ExitCode::from(2)
        }
    }
}
