//! Connections that have said something once and then nothing: what each holds of the server's memory.

use std::net::SocketAddr;
use std::thread;
use std::time::Duration;

use crate::Outcome;
use crate::client::Dialect;
use crate::process::resident_bytes;

/// Connections before the first look: tables, pools and code are touched by then.
const FIRST: usize = 16;
/// What a server gets to give back, before each look.
const REST: Duration = Duration::from_secs(2);

/// Prints the bytes of resident memory that a connection adds. The kernel's share is not in them.
pub fn run(address: SocketAddr, pid: u32, dialect: &Dialect, count: usize) -> Outcome<()> {
    let mut connections = Vec::with_capacity(FIRST + count);
    let mut open = |more: usize| -> Outcome<u64> {
        for _ in 0..more {
            let mut stream = dialect.connect(address)?;
            dialect.echo_once(&mut stream)?;
            connections.push(stream);
        }
        thread::sleep(REST);
        resident_bytes(pid)
    };
    let before = open(FIRST)?;
    let after = open(count)?;
    println!(
        "idle_bytes={:.0} resident_mib_before={:.1}",
        after.saturating_sub(before) as f64 / count as f64,
        before as f64 / 1_048_576.0
    );
    Ok(())
}
