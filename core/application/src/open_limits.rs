//! Limits that stay open when their engine is gone: presence and limits suffer, never a message, a request or a sign-in.
//!
//! The one place where that is decided. Whoever chooses the engine puts it around it; everyone above charges and goes on.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use ringside_ports::presence::{Charge, Connection, JointDecision, RateDecision, Status, StatusChange};
use ringside_ports::{EngineError, Presence};
use ringside_types::{Epoch, Slot, UserId};

/// What was let through because nobody could count it, since the start.
#[derive(Debug, Default)]
pub struct OpenLimitsCounters {
    /// Charges that were granted without their bucket.
    pub charges: AtomicU64,
    /// Connections that were let in without being counted: they are not seen to be there, and don't count for the limit.
    pub connections: AtomicU64,
    /// Charges that were not given back.
    pub refunds: AtomicU64,
}

/// An engine whose limits stay open when it fails, counted. What it says of who is there fails as before.
#[derive(Clone, Debug)]
pub struct OpenLimits<P> {
    engine: P,
    counters: Arc<OpenLimitsCounters>,
}

impl<P> OpenLimits<P> {
    /// Around an engine.
    pub fn new(engine: P) -> Self {
        Self { engine, counters: Arc::default() }
    }

    /// The engine inside.
    pub fn engine(&self) -> &P {
        &self.engine
    }

    /// What was let through, for metrics and alarms.
    pub fn counters(&self) -> &OpenLimitsCounters {
        &self.counters
    }
}

/// Counts what goes on without its engine.
fn leave_open(counter: &AtomicU64, count: usize, error: &EngineError) {
    counter.fetch_add(count as u64, Ordering::Relaxed);
    tracing::warn!(%error, count, "limits were not held: their engine did not answer");
}

impl<P: Presence> Presence for OpenLimits<P> {
    async fn connect(&self, connections: &[Connection], limit: u32) -> Result<Vec<bool>, EngineError> {
        let added = self.engine.connect(connections, limit).await;
        Ok(added.unwrap_or_else(|error| {
            leave_open(&self.counters.connections, connections.len(), &error);
            vec![true; connections.len()]
        }))
    }

    async fn disconnect(&self, connections: &[Connection]) -> Result<Vec<StatusChange>, EngineError> {
        self.engine.disconnect(connections).await
    }

    async fn set_status(&self, statuses: &[(Connection, Status)]) -> Result<Vec<StatusChange>, EngineError> {
        self.engine.set_status(statuses).await
    }

    async fn statuses(&self, users: &[UserId]) -> Result<Vec<Status>, EngineError> {
        self.engine.statuses(users).await
    }

    async fn end_leases(&self, slot: Slot, before: Epoch) -> Result<Vec<UserId>, EngineError> {
        self.engine.end_leases(slot, before).await
    }

    async fn charge(&self, charges: &[Charge]) -> Result<Vec<RateDecision>, EngineError> {
        let decided = self.engine.charge(charges).await;
        Ok(decided.unwrap_or_else(|error| {
            leave_open(&self.counters.charges, charges.len(), &error);
            charges.iter().map(|charge| RateDecision::Granted { remaining: charge.rate.burst }).collect()
        }))
    }

    async fn charge_jointly(&self, groups: &[Vec<Charge>]) -> Result<Vec<JointDecision>, EngineError> {
        let decided = self.engine.charge_jointly(groups).await;
        Ok(decided.unwrap_or_else(|error| {
            let charges = groups.iter().map(Vec::len).sum();
            leave_open(&self.counters.charges, charges, &error);
            vec![JointDecision::Granted; groups.len()]
        }))
    }

    async fn refund(&self, charges: &[Charge]) -> Result<(), EngineError> {
        if let Err(error) = self.engine.refund(charges).await {
            self.counters.refunds.fetch_add(charges.len() as u64, Ordering::Relaxed);
            tracing::warn!(%error, "tokens were not given back: the limits' engine did not answer");
        }
        Ok(())
    }
}
