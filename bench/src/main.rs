//! `ringside-echo`: serves until it is killed.

use std::net::SocketAddr;
use std::process::ExitCode;

use clap::{Parser, ValueEnum};
use ringside_bench::{Echo, MESSAGE_BYTES_MAX};
use ringside_reactor::{Backend, Config, spawn_shards};

/// Echoes WebSocket messages, on the reactor and machine that the product uses.
#[derive(Parser)]
struct Arguments {
    /// Where to listen.
    #[arg(long, default_value = "127.0.0.1:9001")]
    addr: SocketAddr,
    /// Shards, each on a core of its own.
    #[arg(long, default_value_t = 1)]
    shards: usize,
    /// The kernel interface.
    #[arg(long, value_enum, default_value_t = Interface::Auto)]
    backend: Interface,
}

#[derive(Clone, Copy, ValueEnum)]
enum Interface {
    Auto,
    Uring,
    Poll,
}

fn main() -> ExitCode {
    let arguments = Arguments::parse();
    let backend = match arguments.backend {
        Interface::Auto => Backend::Auto,
        Interface::Uring => Backend::Uring,
        Interface::Poll => Backend::Poll,
    };
    // A queue holds the largest echo twice: one in flight, one behind it.
    let send_queue_limit_bytes = 2 * MESSAGE_BYTES_MAX as usize + 64 * 1024;
    let config =
        Config { backend, listen: Some(arguments.addr), send_queue_limit_bytes, ..Config::default() };
    match spawn_shards(&config, arguments.shards, |_| Echo::default()) {
        Ok(shards) => {
            let address = shards.first().and_then(|shard| shard.address());
            eprintln!("ringside-echo listens on {}", address.unwrap_or(arguments.addr));
            loop {
                std::thread::park();
            }
        }
        Err(error) => {
            eprintln!("ringside-echo can't listen on {}: {error}", arguments.addr);
            ExitCode::FAILURE
        }
    }
}
