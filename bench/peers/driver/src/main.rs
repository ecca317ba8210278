//! `peers-driver`: what an echo costs a server, and what an idle connection holds of its memory.

mod client;
mod echoes;
mod idle;
mod process;

use std::net::SocketAddr;
use std::time::Duration;

use clap::{Parser, Subcommand};

/// Whatever went wrong: a bench can only stop.
pub type Outcome<T> = Result<T, Box<dyn std::error::Error>>;

#[derive(Parser)]
struct Arguments {
    #[command(subcommand)]
    task: Task,
    /// Where the server listens.
    #[arg(long, global = true, default_value = "127.0.0.1:9001")]
    addr: SocketAddr,
    /// Its process.
    #[arg(long, global = true, default_value_t = 0)]
    pid: u32,
    /// Plain bytes instead of WebSocket messages.
    #[arg(long, global = true)]
    raw: bool,
    /// Bytes of a message.
    #[arg(long, global = true, default_value_t = 200)]
    bytes: usize,
    /// Connections.
    #[arg(long, global = true, default_value_t = 256)]
    connections: usize,
}

#[derive(Subcommand)]
enum Task {
    /// Sends, awaits the echo, sends again, on every connection.
    Echo {
        #[arg(long, default_value_t = 10)]
        seconds: u64,
    },
    /// Opens connections, has one echo on each, then looks at the server's memory.
    Idle,
}

fn main() -> Outcome<()> {
    let Arguments { task, addr, pid, raw, bytes, connections } = Arguments::parse();
    let dialect = client::Dialect::new(raw, bytes);
    match task {
        Task::Echo { seconds } => echoes::run(addr, pid, &dialect, connections, Duration::from_secs(seconds)),
        Task::Idle => idle::run(addr, pid, &dialect, connections),
    }
}
