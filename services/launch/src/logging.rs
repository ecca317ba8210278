//! Logs go to stderr: readable on a terminal, JSON otherwise.

use std::io::{IsTerminal as _, stderr};

use tracing_subscriber::EnvFilter;

/// What is logged where `RINGSIDE_LOG` says nothing else. What engines say of their own work is not news.
const FILTER: &str = "info,sqlx=warn,log=warn";

/// Starts logging. A second call, as tests make, changes nothing.
pub fn start() {
    let filter = std::env::var("RINGSIDE_LOG").unwrap_or_else(|_| FILTER.into());
    let filter = EnvFilter::try_new(&filter).unwrap_or_else(|error| {
        eprintln!("ringside: RINGSIDE_LOG is {filter:?}, which is no filter ({error}); logging {FILTER}");
        EnvFilter::new(FILTER)
    });
    let builder = tracing_subscriber::fmt().with_env_filter(filter).with_writer(stderr).with_target(false);
    let started = if stderr().is_terminal() { builder.try_init() } else { builder.json().try_init() };
    drop(started);
}
