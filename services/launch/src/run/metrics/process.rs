//! What the kernel counts of this process, under the names that every Prometheus knows.

use std::fmt;
use std::fs;
use std::os::unix::fs::MetadataExt as _;
use std::time::{SystemTime, UNIX_EPOCH};

use prometheus_client::collector::Collector;
use prometheus_client::encoding::{DescriptorEncoder, EncodeMetric};
use prometheus_client::metrics::MetricType;
use prometheus_client::metrics::counter::ConstCounter;
use prometheus_client::metrics::gauge::ConstGauge;
use rustix::process::{Resource, getrlimit};
use rustix::time::{ClockId, clock_gettime};

/// A process that has started.
#[derive(Debug)]
pub(super) struct Process {
    started: f64,
    /// Resident then: what came since is connections, and what they asked for.
    started_bytes: Option<u64>,
}

impl Process {
    /// This one, now.
    pub(super) fn started() -> Self {
        let now = SystemTime::now().duration_since(UNIX_EPOCH).map_or(0.0, |since| since.as_secs_f64());
        Self { started: now, started_bytes: memory_bytes("VmRSS:") }
    }
}

impl Collector for Process {
    fn encode(&self, mut encoder: DescriptorEncoder<'_>) -> fmt::Result {
        let mut bytes = |name: &str, help: &str, value: Option<u64>| -> fmt::Result {
            let Some(value) = value.and_then(|value| i64::try_from(value).ok()) else { return Ok(()) };
            let metric = encoder.encode_descriptor(name, help, None, MetricType::Gauge)?;
            ConstGauge::new(value).encode(metric)
        };
        bytes("process_resident_memory_bytes", "Resident memory size in bytes", memory_bytes("VmRSS:"))?;
        bytes("process_virtual_memory_bytes", "Virtual memory size in bytes", memory_bytes("VmSize:"))?;
        bytes("process_open_fds", "Number of open file descriptors", open_descriptors())?;
        let descriptors = getrlimit(Resource::Nofile).current;
        bytes("process_max_fds", "Maximum number of open file descriptors", descriptors)?;
        bytes(
            "ringside_start_resident_memory_bytes",
            "Resident memory size when the server had started",
            self.started_bytes,
        )?;
        let help = "Total user and system CPU time spent in seconds";
        let metric = encoder.encode_descriptor("process_cpu_seconds", help, None, MetricType::Counter)?;
        ConstCounter::new(cpu_seconds()).encode(metric)?;
        let help = "Start time of the process since unix epoch in seconds";
        let metric =
            encoder.encode_descriptor("process_start_time_seconds", help, None, MetricType::Gauge)?;
        ConstGauge::new(self.started).encode(metric)?;
        let help = "1, with the version of the server";
        let mut metric = encoder.encode_descriptor("ringside_build_info", help, None, MetricType::Gauge)?;
        ConstGauge::new(1_i64).encode(metric.encode_family(&[("version", env!("CARGO_PKG_VERSION"))])?)
    }
}

/// What the kernel says of this process's memory, by the name of its line.
fn memory_bytes(name: &str) -> Option<u64> {
    memory(name, &fs::read_to_string("/proc/self/status").ok()?)
}

fn memory(name: &str, status: &str) -> Option<u64> {
    let line = status.lines().find_map(|line| line.strip_prefix(name))?;
    let kib: u64 = line.trim().strip_suffix("kB")?.trim().parse().ok()?;
    kib.checked_mul(1024)
}

/// Descriptors that are open. Connections on a ring are none: the ring holds them itself.
fn open_descriptors() -> Option<u64> {
    let folder = "/proc/self/fd";
    // From Linux 6.2 on it is the folder's size; to count a million takes a while.
    match fs::metadata(folder).ok()?.size() {
        // To list them takes one more.
        0 => Some((fs::read_dir(folder).ok()?.count() as u64).saturating_sub(1)),
        count => Some(count),
    }
}

/// CPU time of all threads.
fn cpu_seconds() -> f64 {
    let time = clock_gettime(ClockId::ProcessCPUTime);
    time.tv_sec as f64 + time.tv_nsec as f64 / 1e9
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_kernel_says_how_much_is_resident() {
        assert_eq!(memory("VmRSS:", "VmHWM:\t  20 kB\nVmRSS:\t    12 kB\n"), Some(12 * 1024));
        assert_eq!(memory("VmRSS:", "VmHWM:\t  20 kB\n"), None);
        assert!(memory_bytes("VmRSS:").is_some_and(|bytes| bytes > 100_000));
    }

    #[test]
    fn descriptors_and_time_are_this_process_own() {
        let before = open_descriptors().expect("the kernel says");
        let files: Vec<_> =
            (0..50).map(|_| fs::File::open("/proc/self/status").expect("it is there")).collect();
        let open = open_descriptors().expect("the kernel says");
        // Other tests of this process open and close some meanwhile.
        assert!(open >= before + 25, "{before}, then {open}");
        drop(files);
        let spent = cpu_seconds();
        let mut sum = 0_u64;
        while cpu_seconds() < spent + 0.01 {
            sum = sum.wrapping_add(1);
        }
        assert!(sum > 0);
    }
}
