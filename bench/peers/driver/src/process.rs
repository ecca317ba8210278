//! What proc(5) says of a process.

use crate::Outcome;

/// A tick of /proc/PID/stat on Linux, in microseconds.
const TICK_US: u64 = 10_000;

/// CPU time of all threads.
pub struct Usage {
    /// In user space.
    pub user_us: u64,
    /// In the kernel.
    pub system_us: u64,
}

impl Usage {
    /// Until now.
    pub fn of(pid: u32) -> Outcome<Self> {
        let stat = std::fs::read_to_string(format!("/proc/{pid}/stat"))?;
        let after_name = stat.rsplit_once(')').ok_or("no name in brackets")?.1;
        // Fields 14 and 15, counted from the state, which is the third.
        let ticks: Vec<u64> =
            after_name.split_whitespace().skip(11).take(2).map(str::parse).collect::<Result<_, _>>()?;
        let &[user, system] = ticks.as_slice() else { return Err("too few fields".into()) };
        Ok(Self { user_us: user * TICK_US, system_us: system * TICK_US })
    }

    /// Since an earlier time.
    pub fn since(&self, earlier: &Self) -> Self {
        Self { user_us: self.user_us - earlier.user_us, system_us: self.system_us - earlier.system_us }
    }
}

/// Bytes of memory that are resident.
pub fn resident_bytes(pid: u32) -> Outcome<u64> {
    let status = std::fs::read_to_string(format!("/proc/{pid}/status"))?;
    let line = status.lines().find_map(|line| line.strip_prefix("VmRSS:")).ok_or("no VmRSS")?;
    let kib: u64 = line.trim().trim_end_matches(" kB").parse()?;
    Ok(kib * 1_024)
}
