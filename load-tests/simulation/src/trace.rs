//! What happened, step by step: a hash that two runs of one seed must share, and the steps for whoever wants to read them.

use std::fmt;
use std::hash::{BuildHasher, Hash, Hasher};
use std::time::Duration;

use ringside_types::ChannelId;
use ringside_types::hash::RandomState;

/// Who takes part: a column of a drawn history.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Lane {
    /// Whoever brings the faults, and changes who is in which channel.
    World,
    Client(u32),
    Edge(u16),
    Processor(u16),
    Relay,
    Reaper,
    Log,
    Store,
}

impl fmt::Display for Lane {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::World => f.pad("world"),
            Self::Client(number) => f.pad(&format!("client {number}")),
            Self::Edge(number) => f.pad(&format!("edge {number}")),
            Self::Processor(number) => f.pad(&format!("part. {number}")),
            Self::Relay => f.pad("relay"),
            Self::Reaper => f.pad("reaper"),
            Self::Log => f.pad("log"),
            Self::Store => f.pad("store"),
        }
    }
}

/// One thing that happened: at one place, or on its arrival from another.
#[derive(Clone, Debug)]
pub struct Step {
    /// Since the beginning.
    pub at: Duration,
    pub from: Lane,
    pub to: Lane,
    /// What it is about, where it is about one channel.
    pub channel: Option<ChannelId>,
    pub text: String,
}

impl fmt::Display for Step {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let at = self.at.as_secs_f64() * 1_000.0;
        let to = if self.to == self.from { String::new() } else { format!("→ {}", self.to) };
        write!(f, "{at:>10.3} ms  {:<9} {to:<11}{}", self.from, self.text)?;
        // A simulation's channels are told apart by their ends.
        self.channel.map_or(Ok(()), |channel| write!(f, " [{}]", &channel.0.simple().to_string()[28..]))
    }
}

pub(crate) struct Trace {
    hasher: <RandomState as BuildHasher>::Hasher,
    steps: Option<Vec<Step>>,
}

impl Trace {
    pub(crate) fn new(keeps: bool) -> Self {
        Self { hasher: RandomState::default().build_hasher(), steps: keeps.then(Vec::new) }
    }

    pub(crate) fn add(&mut self, step: Step) {
        (step.at, step.from, step.to).hash(&mut self.hasher);
        self.hasher.write(step.text.as_bytes());
        if let Some(steps) = &mut self.steps {
            steps.push(step);
        }
    }

    pub(crate) fn hash(&self) -> u64 {
        self.hasher.finish()
    }

    pub(crate) fn steps(&self) -> Vec<Step> {
        self.steps.clone().unwrap_or_default()
    }
}
