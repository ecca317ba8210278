//! What the command line may ask of the load.

use std::io;
use std::path::PathBuf;

use clap::{Args, ValueEnum};
use ringside_test_client::seed_file::SeedFileError;
use ringside_test_client::websocket::Target;
use thiserror::Error;

/// Connections of one process: each is a descriptor, and the usual hard limit is 20,000.
pub const MAX_CONNECTIONS: u32 = 15_000;
/// Messages of one run; each costs about 40 bytes of the load's own memory.
pub const MAX_PLANNED_MESSAGES: u64 = 50_000_000;
/// Threads of one process.
pub const MAX_THREADS: u32 = 64;
/// Descriptors beside those of the connections.
pub const SPARE_DESCRIPTORS: u64 = 200;

/// How the report is printed.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub enum ReportFormat {
    /// For people.
    Text,
    /// One object.
    Json,
}

/// `ringside-load run`.
#[derive(Clone, Debug, Args)]
pub struct LoadOptions {
    /// The edge, like ws://127.0.0.1:8081/ws.
    #[arg(long)]
    pub edge: Target,
    /// The seed.json that `ringside seed` wrote.
    #[arg(long)]
    pub seed_file: PathBuf,
    /// Connections; one a user as far as there are users.
    #[arg(long, value_parser = clap::value_parser!(u32).range(1..=i64::from(MAX_CONNECTIONS)))]
    pub connections: u32,
    /// Channels that are written to.
    #[arg(long, value_parser = clap::value_parser!(u32).range(1..))]
    pub channels: u32,
    /// Messages a second, over all.
    #[arg(long)]
    pub rate: f64,
    /// Seconds measured.
    #[arg(long, default_value_t = 10.0)]
    pub duration: f64,
    /// Seconds of the same load before that, not measured.
    #[arg(long, default_value_t = 2.0)]
    pub warmup: f64,
    /// Seconds to wait for what is still under way at the end.
    #[arg(long, default_value_t = 10.0)]
    pub grace: f64,
    /// Threads, each with its own share of the connections.
    #[arg(long, default_value_t = 1, value_parser = clap::value_parser!(u32).range(1..=i64::from(MAX_THREADS)))]
    pub threads: u32,
    /// Bytes of each message's content.
    #[arg(long, default_value_t = 64, value_parser = clap::value_parser!(u32).range(1..=65_536))]
    pub message_bytes: u32,
    /// Random arrivals (exponential gaps) in place of even ones.
    #[arg(long)]
    pub poisson: bool,
    /// Decides who sends when and where.
    #[arg(long, default_value_t = 1)]
    pub seed: u64,
    /// Process id of the server, for its CPU time.
    #[arg(long)]
    pub server_pid: Option<u32>,
    /// Format of the report on stdout.
    #[arg(long, value_enum, default_value_t = ReportFormat::Text)]
    pub report: ReportFormat,
}

/// `ringside-load idle`.
#[derive(Clone, Debug, Args)]
pub struct IdleOptions {
    /// The edge, like ws://127.0.0.1:8081/ws.
    #[arg(long)]
    pub edge: Target,
    /// The seed.json that `ringside seed` wrote; without it no token is sent and no `hello` awaited (an echo server).
    #[arg(long)]
    pub seed_file: Option<PathBuf>,
    /// Connections.
    #[arg(long, value_parser = clap::value_parser!(u32).range(1..=i64::from(MAX_CONNECTIONS)))]
    pub connections: u32,
    /// Seconds to hold them before measuring.
    #[arg(long, default_value_t = 10.0)]
    pub hold: f64,
    /// Process id of the server, for its memory.
    #[arg(long)]
    pub server_pid: Option<u32>,
    /// Format of the report on stdout.
    #[arg(long, value_enum, default_value_t = ReportFormat::Text)]
    pub report: ReportFormat,
}

/// Why a load can't run.
#[derive(Debug, Error)]
pub enum LoadError {
    /// The accounts are missing.
    #[error(transparent)]
    Seed(#[from] SeedFileError),
    /// The plan asks for what the seed file doesn't have.
    #[error("{0}")]
    Plan(String),
    /// The process may not open so many sockets.
    #[error("{needed} descriptors are needed and {allowed} allowed: raise the hard limit (ulimit -Hn)")]
    Descriptors { needed: u64, allowed: u64 },
    /// A connection could not be opened.
    #[error("connection {connection} (user {user}) was not opened: {reason}")]
    Open { connection: u32, user: String, reason: String },
    /// The system failed us.
    #[error("{0}")]
    Io(#[from] io::Error),
    /// The report could not be written.
    #[error("the report: {0}")]
    Report(#[from] serde_json::Error),
}
