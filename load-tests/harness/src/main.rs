//! The command line of the load tool.

use std::fmt::Display;
use std::process::ExitCode;

use clap::{Parser, Subcommand};
use ringside_load::load::{self, IdleOptions, LoadError, LoadOptions, ReportFormat};
use serde::Serialize;

/// Drives a running Ringside from outside: load, idle connections, crashes.
#[derive(Parser)]
#[command(name = "ringside-load", version)]
struct CommandLine {
    #[command(subcommand)]
    command: Command,
}

#[derive(Subcommand)]
enum Command {
    /// An open-loop load at a fixed rate; fails on anything lost, doubled, reordered or refused.
    Run(LoadOptions),
    /// Opens and holds connections, and tells what each costs.
    Idle(IdleOptions),
}

fn main() -> ExitCode {
    let outcome = match CommandLine::parse().command {
        Command::Run(options) => load::run(&options).and_then(|r| print(&r, options.report, r.is_clean())),
        Command::Idle(options) => load::idle(&options).and_then(|r| print(&r, options.report, r.is_clean())),
    };
    match outcome {
        Ok(true) => ExitCode::SUCCESS,
        Ok(false) => ExitCode::FAILURE,
        Err(error) => {
            eprintln!("ringside-load: {error}");
            ExitCode::from(2)
        }
    }
}

fn print(report: &(impl Display + Serialize), format: ReportFormat, clean: bool) -> Result<bool, LoadError> {
    match format {
        ReportFormat::Text => println!("{report}"),
        ReportFormat::Json => println!("{}", serde_json::to_string_pretty(report)?),
    }
    Ok(clean)
}
