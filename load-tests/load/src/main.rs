//! The load tool's binary. Exit codes: 0 the server did all that it promises, 1 it did not, 2 there is no verdict.

use std::process::ExitCode;

use clap::Parser;
use ringside_load::command::Command;

fn main() -> ExitCode {
    match Command::parse().run() {
        Ok(true) => ExitCode::SUCCESS,
        Ok(false) => ExitCode::FAILURE,
        Err(error) => {
            eprintln!("ringside-load: {error}");
            ExitCode::from(2)
        }
    }
}
