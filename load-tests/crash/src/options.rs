//! What the command line may ask of the crash test, and how it may fail to run.

use std::io;
use std::path::PathBuf;

use clap::Args;
use ringside_test_client::rest::RestError;
use ringside_test_client::server::{ServerError, ServerOptions};
use ringside_test_client::websocket::SocketError;
use thiserror::Error;

/// Clients of one crash test; more would be a load test.
pub const MAX_CLIENTS: u32 = 1000;
/// Channels of one crash test.
pub const MAX_CHANNELS: u32 = 1000;

/// `ringside-load crash`.
#[derive(Clone, Debug, Args)]
pub struct CrashOptions {
    /// Which server is started, and how.
    #[command(flatten)]
    pub server: ServerOptions,
    /// A folder that is empty or not there yet; without it, a temporary one that goes after success.
    #[arg(long)]
    pub data_dir: Option<PathBuf>,
    /// Decides who does what when; by default taken from the clock, and printed.
    #[arg(long)]
    pub seed: Option<u64>,
    /// Clients; every fifth is the second device of another's user.
    #[arg(long, default_value_t = 50, value_parser = clap::value_parser!(u32).range(2..=i64::from(MAX_CLIENTS)))]
    pub clients: u32,
    /// Channels; two-person ones and groups by turns.
    #[arg(long, default_value_t = 20, value_parser = clap::value_parser!(u32).range(1..=i64::from(MAX_CHANNELS)))]
    pub channels: u32,
    /// Clients that only listen, and are shut out and let in again.
    #[arg(
        long = "guests",
        value_name = "GUESTS",
        default_value_t = 4,
        value_parser = clap::value_parser!(u32).range(0..=i64::from(MAX_CLIENTS))
    )]
    pub evicted_clients: u32,
    /// How often the server is killed.
    #[arg(long, default_value_t = 5)]
    pub kills: u32,
    /// Seconds of sending.
    #[arg(long, default_value_t = 15.0)]
    pub duration: f64,
    /// Mean ms between two actions of one client.
    #[arg(long, default_value_t = 80.0)]
    pub pause_ms: f64,
    /// Where the histories go when an invariant is broken.
    #[arg(long)]
    pub history_file: Option<PathBuf>,
    /// Keep the histories even when all is well.
    #[arg(long)]
    pub keep: bool,
}

/// Why the crash test did not come to a verdict.
#[derive(Debug, Error)]
pub enum CrashError {
    /// The server did not start, or did not come back: that is a failure of the server as well.
    #[error(transparent)]
    Server(#[from] ServerError),
    /// The accounts, the channels or the final histories could not be had.
    #[error(transparent)]
    Rest(#[from] RestError),
    /// The final changes could not be had.
    #[error("the last sync: {0}")]
    Socket(#[from] SocketError),
    /// The system failed us.
    #[error("{0}")]
    Io(#[from] io::Error),
    /// The folder holds something.
    #[error("{0} is not empty; the crash test wants a folder of its own")]
    NotEmpty(PathBuf),
    /// The histories could not be written.
    #[error("the histories: {0}")]
    Histories(#[from] serde_json::Error),
}
