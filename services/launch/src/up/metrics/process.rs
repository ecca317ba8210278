//! What the kernel counts of this process, under the names that every Prometheus knows.

use std::fmt;
use std::time::{SystemTime, UNIX_EPOCH};

use prometheus_client::collector::Collector;
use prometheus_client::encoding::{DescriptorEncoder, EncodeMetric};
use prometheus_client::metrics::MetricType;
use prometheus_client::metrics::gauge::ConstGauge;

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
        Self { started: now, started_bytes: resident_bytes() }
    }
}

impl Collector for Process {
    fn encode(&self, mut encoder: DescriptorEncoder<'_>) -> fmt::Result {
        let mut bytes = |name: &str, help: &str, value: Option<u64>| -> fmt::Result {
            let Some(value) = value.and_then(|value| i64::try_from(value).ok()) else { return Ok(()) };
            let metric = encoder.encode_descriptor(name, help, None, MetricType::Gauge)?;
            ConstGauge::new(value).encode(metric)
        };
        bytes("process_resident_memory_bytes", "Resident memory size in bytes", resident_bytes())?;
        bytes(
            "ringside_start_resident_memory_bytes",
            "Resident memory size when the server had started",
            self.started_bytes,
        )?;
        let help = "Start time of the process since unix epoch in seconds";
        let metric =
            encoder.encode_descriptor("process_start_time_seconds", help, None, MetricType::Gauge)?;
        ConstGauge::new(self.started).encode(metric)?;
        let help = "1, with the version of the server";
        let mut metric = encoder.encode_descriptor("ringside_build_info", help, None, MetricType::Gauge)?;
        ConstGauge::new(1_i64).encode(metric.encode_family(&[("version", env!("CARGO_PKG_VERSION"))])?)
    }
}

/// What the kernel says of this process's memory.
fn resident_bytes() -> Option<u64> {
    resident(&std::fs::read_to_string("/proc/self/status").ok()?)
}

fn resident(status: &str) -> Option<u64> {
    let line = status.lines().find_map(|line| line.strip_prefix("VmRSS:"))?;
    let kib: u64 = line.trim().strip_suffix("kB")?.trim().parse().ok()?;
    kib.checked_mul(1024)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_kernel_says_how_much_is_resident() {
        assert_eq!(resident("VmHWM:\t  20 kB\nVmRSS:\t    12 kB\n"), Some(12 * 1024));
        assert_eq!(resident("VmHWM:\t  20 kB\n"), None);
        assert!(resident_bytes().is_some_and(|bytes| bytes > 100_000));
    }
}
