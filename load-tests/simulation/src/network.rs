//! How calls of engines and bytes of clients travel: late, and sometimes not at all.

use std::collections::BTreeSet;
use std::fmt;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use ringside_ports::EngineError;
use ringside_ports::log::Record;

use crate::scheduler::{ProcessId, Scheduler};

/// A caller gives up after this long.
const CALL_TIMEOUT: Duration = Duration::from_secs(2);

#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Engine {
    Log,
    Store,
    Backend,
}

impl fmt::Display for Engine {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Log => "log",
            Self::Store => "store",
            Self::Backend => "backend",
        })
    }
}

/// How bad things are now.
#[derive(Clone, Debug, Default)]
pub struct Conditions {
    /// Who doesn't reach what.
    pub cuts: BTreeSet<(ProcessId, Engine)>,
    /// Of a thousand calls so many are lost on their way, and as many answers.
    pub lost_per_mille: u64,
    /// Calls take up to this long besides.
    pub slow: Duration,
    /// Of a thousand records to an edge so many are lost, as many come twice, and as many after the next one.
    pub garbled_per_mille: u64,
}

/// The way from one process to the engines.
#[derive(Clone)]
pub struct Network {
    pub scheduler: Scheduler,
    pub process: ProcessId,
    conditions: Arc<Mutex<Conditions>>,
}

impl Network {
    pub fn new(scheduler: Scheduler, process: ProcessId) -> Self {
        Self { scheduler, process, conditions: Arc::default() }
    }

    /// The same network, from another process.
    pub fn of(&self, process: ProcessId) -> Self {
        Self { process, ..self.clone() }
    }

    pub fn conditions(&self) -> MutexGuard<'_, Conditions> {
        self.conditions.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Records to an edge, as they arrive.
    pub fn deliver(&self, records: Vec<Record>) -> Vec<Record> {
        let per_mille = self.conditions().garbled_per_mille;
        if per_mille == 0 {
            return records;
        }
        let mut arrived: Vec<Record> = Vec::with_capacity(records.len());
        for record in records {
            if self.scheduler.chance(per_mille) {
                continue;
            }
            if self.scheduler.chance(per_mille) {
                arrived.push(record.clone());
            }
            let at = arrived.len().saturating_sub(usize::from(self.scheduler.chance(per_mille)));
            arrived.insert(at, record);
        }
        arrived
    }

    /// A call, or its answer, on its way. Where it is lost, the caller hears of it after a while.
    pub async fn travel(&self, engine: Engine) -> Result<(), EngineError> {
        let (slow, lost) = {
            let conditions = self.conditions();
            let is_cut = conditions.cuts.contains(&(self.process, engine));
            (conditions.slow, is_cut || self.scheduler.chance(conditions.lost_per_mille))
        };
        let slow_us = u64::try_from(slow.as_micros()).unwrap_or(u64::MAX);
        self.scheduler.sleep(self.scheduler.draw_us(50..1_000 + slow_us)).await;
        if lost {
            self.scheduler.sleep(CALL_TIMEOUT).await;
            return Err(EngineError::Unavailable { engine: "simulated", cause: "no answer".into() });
        }
        Ok(())
    }
}
