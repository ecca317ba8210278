//! The command line: one subcommand a tool, one exit code for all of them.

use std::error::Error;
use std::fmt::Display;

use clap::Parser;
use ringside_conformance::CheckOptions;
use ringside_conformance::abuse::{self, AbuseOptions};
use ringside_crash::CrashOptions;
use serde::Serialize;

use crate::open_loop::{self, IdleOptions, LoadOptions, ReportFormat};
use crate::silence::{self, SilenceOptions};
use crate::timing::{self, TimingOptions};

/// Drives a running Ringside from outside: load, idle connections, crashes, behaviours.
#[derive(Debug, Parser)]
#[command(name = "ringside-load", version)]
pub enum Command {
    /// An open-loop load at a fixed rate; fails on anything lost, doubled, reordered or refused.
    Run(LoadOptions),
    /// Opens and holds connections, and tells what each costs.
    Idle(IdleOptions),
    /// Kills a server under its clients and judges what they saw.
    Crash(CrashOptions),
    /// Tries what the contract says of limits, slow readers, drain and bad input, each on a server of its own.
    Check(CheckOptions),
    /// Ends sessions and memberships under live sockets, and tells how long after the answer these are silent.
    Silence(SilenceOptions),
    /// Failed logins of accounts that exist and of such that do not, their times beside each other.
    Timing(TimingOptions),
    /// Attacks a server with its default limits, and tells what honest users notice of it.
    Abuse(AbuseOptions),
}

impl Command {
    /// Does it. True when the server did all that it promises.
    pub fn run(self) -> Result<bool, Box<dyn Error>> {
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
        match self {
            Self::Run(options) => {
                let report = open_loop::run(&options)?;
                print(&report, options.report, report.is_clean())
            }
            Self::Idle(options) => {
                let report = open_loop::idle(&options)?;
                print(&report, options.report, report.is_clean())
            }
            Self::Crash(options) => {
                let report = runtime.block_on(ringside_crash::run(&options))?;
                println!("{report}");
                Ok(report.is_clean())
            }
            Self::Check(options) => Ok(runtime.block_on(ringside_conformance::run(&options))?),
            Self::Abuse(options) => Ok(runtime.block_on(abuse::run(&options))?),
            Self::Silence(options) => {
                let report = runtime.block_on(silence::run(&options))?;
                println!("{report}");
                Ok(report.is_clean())
            }
            Self::Timing(options) => {
                println!("{}", runtime.block_on(timing::run(&options))?);
                Ok(true)
            }
        }
    }
}

fn print(
    report: &(impl Display + Serialize),
    format: ReportFormat,
    clean: bool,
) -> Result<bool, Box<dyn Error>> {
    match format {
        ReportFormat::Text => println!("{report}"),
        ReportFormat::Json => println!("{}", serde_json::to_string_pretty(report)?),
    }
    Ok(clean)
}
