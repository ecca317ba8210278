//! What processes and the kernel cost: CPU time, memory, socket memory, from `/proc`.

use std::fs;
use std::time::Duration;

use rustix::param::clock_ticks_per_second;
use rustix::time::{ClockId, clock_gettime};

/// CPU time of this process so far.
pub fn own_cpu() -> Duration {
    let time = clock_gettime(ClockId::ProcessCPUTime);
    Duration::new(time.tv_sec.unsigned_abs(), u32::try_from(time.tv_nsec).unwrap_or(0))
}

/// CPU time of another process so far, user and system, in the kernel's ticks (10 ms); `None` when it is gone.
pub fn cpu_of(pid: u32) -> Option<Duration> {
    let stat = fs::read_to_string(format!("/proc/{pid}/stat")).ok()?;
    // The name may hold spaces and parentheses; what follows the last one is regular. utime and stime are fields 14, 15.
    let fields: Vec<&str> = stat.rsplit_once(')')?.1.split_ascii_whitespace().collect();
    let ticks = fields.get(11)?.parse::<u64>().ok()? + fields.get(12)?.parse::<u64>().ok()?;
    Some(Duration::from_nanos(ticks * 1_000_000_000 / clock_ticks_per_second()))
}

/// Resident bytes of a process.
pub fn resident_bytes(pid: u32) -> Option<u64> {
    kib_field(&fs::read_to_string(format!("/proc/{pid}/status")).ok()?, "VmRSS:")
}

/// What the kernel holds, machine-wide: only differences mean something, on a machine that is otherwise quiet.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct KernelMemory {
    /// Bytes that could still be given to programs.
    pub available: u64,
    /// Bytes of kernel objects: sockets, descriptors, inodes.
    pub slab: u64,
    /// Bytes in socket buffers, by `/proc/net/sockstat`.
    pub socket_buffers: u64,
}

impl KernelMemory {
    /// As it is now.
    pub fn now() -> Option<Self> {
        let meminfo = fs::read_to_string("/proc/meminfo").ok()?;
        let sockstat = fs::read_to_string("/proc/net/sockstat").ok()?;
        Some(Self {
            available: kib_field(&meminfo, "MemAvailable:")?,
            slab: kib_field(&meminfo, "Slab:")?,
            socket_buffers: socket_pages(&sockstat) * rustix::param::page_size() as u64,
        })
    }
}

fn kib_field(text: &str, name: &str) -> Option<u64> {
    let line = text.lines().find_map(|line| line.strip_prefix(name))?;
    Some(line.split_ascii_whitespace().next()?.parse::<u64>().ok()? * 1024)
}

fn socket_pages(sockstat: &str) -> u64 {
    let tcp = sockstat.lines().find_map(|line| line.strip_prefix("TCP:")).unwrap_or("");
    let fields: Vec<&str> = tcp.split_ascii_whitespace().collect();
    let value =
        fields.iter().position(|field| *field == "mem").and_then(|at| fields.get(at + 1)?.parse().ok());
    value.unwrap_or(0)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn reads_its_own_figures() {
        let own = std::process::id();
        assert!(resident_bytes(own).expect("resident") > 100_000);
        assert!(cpu_of(own).is_some() && own_cpu() > Duration::ZERO);
        let kernel = KernelMemory::now().expect("the kernel's");
        assert!(kernel.available > 0 && kernel.slab > 0);
    }

    #[test]
    fn reads_socket_pages() {
        assert_eq!(
            socket_pages("sockets: used 9\nTCP: inuse 5 orphan 0 tw 0 alloc 7 mem 3\nUDP: inuse 0 mem 9\n"),
            3
        );
        assert_eq!(socket_pages(""), 0);
    }
}
