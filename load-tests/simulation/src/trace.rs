//! What happened, line by line: a hash that two runs of one seed must share, and the lines for whoever wants to read them.

use std::hash::{BuildHasher, Hasher};
use std::time::Duration;

use ringside_types::hash::RandomState;

pub(crate) struct Trace {
    hasher: <RandomState as BuildHasher>::Hasher,
    lines: Option<Vec<String>>,
}

impl Trace {
    pub(crate) fn new(keeps: bool) -> Self {
        Self { hasher: RandomState::default().build_hasher(), lines: keeps.then(Vec::new) }
    }

    pub(crate) fn add(&mut self, now: Duration, line: impl FnOnce() -> String) {
        let line = format!("{:>10.3} ms  {}", now.as_secs_f64() * 1_000.0, line());
        self.hasher.write(line.as_bytes());
        if let Some(lines) = &mut self.lines {
            lines.push(line);
        }
    }

    pub(crate) fn hash(&self) -> u64 {
        self.hasher.finish()
    }

    pub(crate) fn lines(&self) -> Vec<String> {
        self.lines.clone().unwrap_or_default()
    }
}
