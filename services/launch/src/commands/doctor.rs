//! `ringside doctor`: what of this machine limits the number of connections, and whether the data are private.

use std::fs::{metadata, read_to_string};
use std::io;
use std::os::unix::fs::PermissionsExt as _;
use std::path::Path;

use rustix::process::{Resource, getrlimit};

/// One thing that was looked at.
#[derive(Debug)]
pub struct Finding {
    /// Whether it is as it should be.
    pub good: bool,
    /// What it is, and what to do where it is not good.
    pub text: String,
}

/// Descriptors below which a process can't hold many connections.
const DESCRIPTORS_WANTED: u64 = 100_000;
/// Connections that may wait to be accepted.
const BACKLOG_WANTED: u64 = 4_096;

/// Prints what was found, a line each.
pub fn print(findings: &[Finding]) {
    for Finding { good, text } in findings {
        super::print(&format!("{} {text}", if *good { "ok  " } else { "look" }));
    }
}

pub fn findings(data: &Path) -> Vec<Finding> {
    let backlog = number("/proc/sys/net/core/somaxconn", BACKLOG_WANTED);
    vec![descriptors(), io_uring(), backlog, ports(), privacy(data)]
}

/// Whether accounts of this machine other than the folder's owner can look into it.
fn privacy(data: &Path) -> Finding {
    let path = data.display();
    match metadata(data).map(|it| it.permissions().mode() & 0o777) {
        Ok(mode) if mode & 0o077 == 0 => {
            Finding { good: true, text: format!("{path}: its owner's alone (mode {mode:o})") }
        }
        Ok(mode) => {
            let text = format!(
                "{path}: open to other accounts of this machine (mode {mode:o}). `chmod 700 {path}` closes it, and so does \
                 the next start"
            );
            Finding { good: false, text }
        }
        Err(error) if error.kind() == io::ErrorKind::NotFound => Finding {
            good: true,
            text: format!("{path}: not there yet; the first start makes it, its owner's alone"),
        },
        Err(error) => Finding { good: false, text: format!("{path} can't be looked at ({error})") },
    }
}

fn descriptors() -> Finding {
    let limit = getrlimit(Resource::Nofile);
    let shown = |limit: Option<u64>| limit.map_or_else(|| "unlimited".into(), |limit| limit.to_string());
    let good = limit.maximum.is_none_or(|maximum| maximum >= DESCRIPTORS_WANTED);
    let text = format!(
        "RLIMIT_NOFILE: {} (hard: {}). One io_uring ring holds as many connections; a shard opens further rings. \
         Raise it with `ulimit -Hn` or LimitNOFILE= where it is below {DESCRIPTORS_WANTED}",
        shown(limit.current),
        shown(limit.maximum)
    );
    Finding { good, text }
}

fn io_uring() -> Finding {
    let path = "/proc/sys/kernel/io_uring_disabled";
    match read_to_string(path).as_deref().map(str::trim) {
        Ok("0") => Finding { good: true, text: "io_uring: allowed".into() },
        Ok(other) => Finding {
            good: false,
            text: format!(
                "io_uring: {path} is {other}; with 0 the edge uses io_uring, else it falls back to polling"
            ),
        },
        Err(_) => Finding {
            good: false,
            text: "io_uring: the kernel does not say; where it lacks it, the edge falls back to polling"
                .into(),
        },
    }
}

fn number(path: &str, wanted: u64) -> Finding {
    match read_to_string(path).ok().and_then(|text| text.trim().parse::<u64>().ok()) {
        Some(value) => {
            Finding { good: value >= wanted, text: format!("{path}: {value} (wanted: {wanted} or more)") }
        }
        None => Finding { good: false, text: format!("{path} can't be read (wanted: {wanted} or more)") },
    }
}

fn ports() -> Finding {
    let path = "/proc/sys/net/ipv4/ip_local_port_range";
    let range = read_to_string(path).unwrap_or_default();
    let range = range.split_whitespace().collect::<Vec<_>>().join("-");
    Finding { good: true, text: format!("{path}: {range} (matters to load tools, not to a server)") }
}
