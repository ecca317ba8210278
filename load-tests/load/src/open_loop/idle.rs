//! Connections that do nothing: what each costs the server's process, and the kernel apart from it.

use std::fmt;
use std::sync::Arc;
use std::sync::atomic::Ordering::Relaxed;
use std::time::{Duration, Instant};

use ringside_test_client::process::{KernelMemory, resident_bytes};
use ringside_test_client::seed_file::SeedFile;
use serde::Serialize;

use super::options::{IdleOptions, LoadError};
use super::plan::{Plan, PlannedConnection};
use super::run::{Progress, Workers};
use super::scoreboard::Scoreboard;

/// What the connections cost. The kernel's figures are differences over the whole machine while both ends of every
/// connection lie on it, this tool's own sockets included: halve them for the server alone.
#[derive(Clone, Copy, Debug, Default, Serialize)]
pub struct IdleReport {
    pub connections: u64,
    /// Of those, the ones still open at the end.
    pub still_open: u64,
    /// Resident bytes of the server before the first connection.
    pub server_resident_before: Option<u64>,
    /// And with all of them.
    pub server_resident_after: Option<u64>,
    /// The difference per connection.
    pub server_bytes_per_connection: Option<f64>,
    /// Kernel objects (slab) per connection, both ends.
    pub kernel_slab_per_connection: f64,
    /// Socket buffers per connection, both ends.
    pub kernel_buffers_per_connection: f64,
    /// All memory that went, per connection: server, kernel and this tool.
    pub machine_bytes_per_connection: f64,
    /// Seconds until the last was open.
    pub opened_in_s: f64,
}

impl IdleReport {
    /// Whether all connections lived to the end.
    pub fn is_clean(&self) -> bool {
        self.still_open == self.connections
    }
}

impl fmt::Display for IdleReport {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        writeln!(
            f,
            "{} connections, opened in {:.1} s, {} still open",
            self.connections, self.opened_in_s, self.still_open
        )?;
        if let (Some(before), Some(after), Some(each)) =
            (self.server_resident_before, self.server_resident_after, self.server_bytes_per_connection)
        {
            writeln!(f, "server      {before} -> {after} bytes resident, {each:.0} per connection")?;
        }
        writeln!(
            f,
            "kernel      {:.0} bytes of slab and {:.0} of buffers per connection, both ends",
            self.kernel_slab_per_connection, self.kernel_buffers_per_connection
        )?;
        write!(f, "machine     {:.0} bytes per connection, all together", self.machine_bytes_per_connection)
    }
}

/// Opens the connections, holds them, measures.
pub fn idle(options: &IdleOptions) -> Result<IdleReport, LoadError> {
    let connections = match &options.seed_file {
        Some(path) => Plan::connections(&SeedFile::read(path)?, options.connections)?,
        None => {
            let stranger = PlannedConnection { username: "nobody".to_owned(), token: "none".to_owned() };
            vec![stranger; options.connections as usize]
        }
    };
    let plan = Arc::new(Plan { connections, ..Plan::default() });
    let scoreboard = Arc::new(Scoreboard::new(0));
    let resident = || options.server_pid.and_then(resident_bytes);
    let kernel = || KernelMemory::now().unwrap_or_default();
    let (server_before, kernel_before, since) = (resident(), kernel(), Instant::now());
    let workers = Workers::start(&options.edge, &plan, &scoreboard, 1, options.seed_file.is_some(), 0)?;
    let mut progress = Progress::new(Arc::clone(&scoreboard));
    let opened = workers.await_open(u64::from(options.connections), &mut progress);
    let opened_in_s = since.elapsed().as_secs_f64();
    let until = Instant::now() + Duration::from_secs_f64(options.hold.max(0.0));
    while opened && Instant::now() < until {
        progress.wait();
    }
    let (server_after, kernel_after) = (resident(), kernel());
    let still_open = scoreboard.totals.opened.load(Relaxed) - scoreboard.totals.dropped.load(Relaxed);
    workers.finish(&scoreboard)?;
    let count = f64::from(options.connections);
    let grown = |before: u64, after: u64| after as f64 - before as f64;
    Ok(IdleReport {
        connections: u64::from(options.connections),
        still_open,
        server_resident_before: server_before,
        server_resident_after: server_after,
        server_bytes_per_connection: server_before
            .zip(server_after)
            .map(|(before, after)| grown(before, after) / count),
        kernel_slab_per_connection: grown(kernel_before.slab, kernel_after.slab) / count,
        kernel_buffers_per_connection: grown(kernel_before.socket_buffers, kernel_after.socket_buffers)
            / count,
        machine_bytes_per_connection: grown(kernel_after.available, kernel_before.available) / count,
        opened_in_s,
    })
}
