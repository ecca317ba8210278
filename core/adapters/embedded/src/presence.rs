//! Presence in memory: gone with the process, and meant to be.

pub(crate) mod bucket;

use std::collections::HashMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use ringside_ports::presence::{
    Account, Charge, Connection, JointDecision, RateDecision, Status, StatusChange,
};
use ringside_ports::{EngineError, Presence};
use ringside_types::{Epoch, Slot, UserId};

use bucket::Bucket;

/// Connections known at the most; further ones are refused.
pub const CONNECTIONS_MAX: usize = 4_000_000;
/// Buckets kept at the most; further accounts are refused until some have rested.
pub const BUCKETS_MAX: usize = 1_000_000;
/// Rested buckets are looked for when the map has grown to twice what the last look left, but not below this.
const BUCKETS_SWEEP_MIN: usize = 10_000;

const _: () = assert!(BUCKETS_SWEEP_MIN < BUCKETS_MAX);

/// Who is connected, and the buckets. A clone is another handle.
#[derive(Clone)]
pub struct MemoryPresence(Arc<Shared>);

struct Shared {
    clock: Box<dyn Fn() -> Duration + Send + Sync>,
    state: Mutex<State>,
}

#[derive(Default)]
struct State {
    users: HashMap<UserId, Vec<(Connection, Status)>>,
    connections: usize,
    buckets: HashMap<Account, Rested>,
    sweep_at: usize,
}

/// A bucket, and when it may be forgotten.
struct Rested {
    bucket: Bucket,
    full_at_ms: u64,
}

impl MemoryPresence {
    /// Nobody is connected, every bucket is full; time is the monotonic clock's.
    pub fn new() -> Self {
        let start = Instant::now();
        Self::with_clock(move || start.elapsed())
    }

    /// The same with another clock; it must not step back.
    pub fn with_clock(clock: impl Fn() -> Duration + Send + Sync + 'static) -> Self {
        Self(Arc::new(Shared { clock: Box::new(clock), state: Mutex::default() }))
    }

    fn state(&self) -> MutexGuard<'_, State> {
        // Nothing in here is more than a hint: what a panic left is as good as before.
        self.0.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Default for MemoryPresence {
    fn default() -> Self {
        Self::new()
    }
}

impl Presence for MemoryPresence {
    async fn connect(&self, connections: &[Connection], limit: u32) -> Result<Vec<bool>, EngineError> {
        let state = &mut *self.state();
        connections.iter().map(|connection| state.connect(*connection, limit)).collect()
    }

    async fn disconnect(&self, connections: &[Connection]) -> Result<Vec<StatusChange>, EngineError> {
        let state = &mut *self.state();
        let disconnect = |connection: &Connection| {
            state.changing(connection.user_id, |state| state.disconnect(connection))
        };
        Ok(connections.iter().map(disconnect).collect())
    }

    async fn set_status(&self, statuses: &[(Connection, Status)]) -> Result<Vec<StatusChange>, EngineError> {
        let state = &mut *self.state();
        let set = |(connection, status): &(Connection, Status)| {
            state.changing(connection.user_id, |state| state.set_status(connection, *status))
        };
        Ok(statuses.iter().map(set).collect())
    }

    async fn statuses(&self, users: &[UserId]) -> Result<Vec<Status>, EngineError> {
        let state = self.state();
        Ok(users.iter().map(|user| state.status(*user)).collect())
    }

    async fn end_leases(&self, slot: Slot, before: Epoch) -> Result<Vec<UserId>, EngineError> {
        let state = &mut *self.state();
        let mut ended = Vec::new();
        for (user, known) in &mut state.users {
            let count = known.len();
            known.retain(|(one, _)| one.slot != slot || one.epoch >= before);
            if known.len() < count {
                state.connections -= count - known.len();
                ended.push(*user);
            }
        }
        state.users.retain(|_, known| !known.is_empty());
        Ok(ended)
    }

    async fn charge(&self, charges: &[Charge]) -> Result<Vec<RateDecision>, EngineError> {
        let now_ms = (self.0.clock)().as_millis() as u64;
        let mut state = self.state();
        charges.iter().map(|charge| state.charge(charge, now_ms)).collect()
    }

    async fn charge_jointly(&self, groups: &[Vec<Charge>]) -> Result<Vec<JointDecision>, EngineError> {
        let now_ms = (self.0.clock)().as_millis() as u64;
        let mut state = self.state();
        groups.iter().map(|group| state.charge_jointly(group, now_ms)).collect()
    }

    async fn refund(&self, charges: &[Charge]) -> Result<(), EngineError> {
        let now_ms = (self.0.clock)().as_millis() as u64;
        let mut state = self.state();
        charges.iter().for_each(|charge| state.refund(charge, now_ms));
        Ok(())
    }
}

impl State {
    fn connect(&mut self, connection: Connection, limit: u32) -> Result<bool, EngineError> {
        if self.connections >= CONNECTIONS_MAX {
            return Err(full("connections"));
        }
        let known = self.users.entry(connection.user_id).or_insert_with(|| Vec::with_capacity(1));
        if known.iter().any(|(one, _)| *one == connection) {
            return Ok(true);
        }
        if limit > 0 && known.len() >= limit as usize {
            return Ok(false);
        }
        known.push((connection, Status::default()));
        self.connections += 1;
        Ok(true)
    }

    fn disconnect(&mut self, connection: &Connection) {
        let Some(known) = self.users.get_mut(&connection.user_id) else { return };
        let Some(at) = known.iter().position(|(one, _)| one == connection) else { return };
        known.swap_remove(at);
        self.connections -= 1;
        if known.is_empty() {
            self.users.remove(&connection.user_id);
        }
    }

    fn set_status(&mut self, connection: &Connection, status: Status) {
        let known = self.users.get_mut(&connection.user_id).into_iter().flatten();
        for (_, said) in known.filter(|(one, _)| one == connection) {
            *said = status;
        }
    }

    fn status(&self, user: UserId) -> Status {
        Status::of_all(self.users.get(&user).into_iter().flatten().map(|(_, status)| *status))
    }

    fn changing(&mut self, user: UserId, change: impl FnOnce(&mut Self)) -> StatusChange {
        let before = self.status(user);
        change(self);
        StatusChange { before, after: self.status(user) }
    }

    fn charge_jointly(&mut self, charges: &[Charge], now_ms: u64) -> Result<JointDecision, EngineError> {
        let mut verdicts = Vec::with_capacity(charges.len());
        for charge in charges {
            verdicts.push(self.charge(charge, now_ms)?);
        }
        let wait = |(charge, verdict): (usize, &RateDecision)| match verdict {
            RateDecision::Granted { .. } => None,
            RateDecision::Refused { retry_after_ms } => Some((*retry_after_ms, charge)),
        };
        let Some((retry_after_ms, charge)) = verdicts.iter().enumerate().filter_map(wait).max() else {
            return Ok(JointDecision::Granted);
        };
        for (charge, verdict) in charges.iter().zip(&verdicts) {
            if matches!(verdict, RateDecision::Granted { .. }) {
                self.refund(charge, now_ms);
            }
        }
        Ok(JointDecision::Refused { charge, retry_after_ms })
    }

    fn refund(&mut self, Charge { account, rate, tokens }: &Charge, now_ms: u64) {
        // A bucket that is not here is full.
        if let Some(known) = self.buckets.get_mut(account) {
            known.full_at_ms = known.bucket.give_tokens(*rate, *tokens, now_ms);
        }
    }

    fn charge(
        &mut self,
        Charge { account, rate, tokens }: &Charge,
        now_ms: u64,
    ) -> Result<RateDecision, EngineError> {
        if rate.per_minute == 0 {
            return Ok(Bucket::full(*rate, now_ms).take(*rate, now_ms).verdict);
        }
        if let Some(known) = self.buckets.get_mut(account) {
            let clocked = known.bucket.take_tokens(*rate, *tokens, now_ms);
            known.full_at_ms = clocked.full_at_ms;
            return Ok(clocked.verdict);
        }
        if self.buckets.len() >= self.sweep_at.clamp(BUCKETS_SWEEP_MIN, BUCKETS_MAX) {
            self.buckets.retain(|_, known| known.full_at_ms > now_ms);
            self.sweep_at = self.buckets.len() * 2;
        }
        if self.buckets.len() >= BUCKETS_MAX {
            return Err(full("limits"));
        }
        let mut bucket = Bucket::full(*rate, now_ms);
        let clocked = bucket.take_tokens(*rate, *tokens, now_ms);
        self.buckets.insert(account.clone(), Rested { bucket, full_at_ms: clocked.full_at_ms });
        Ok(clocked.verdict)
    }
}

fn full(what: &str) -> EngineError {
    EngineError::Unavailable { engine: "memory", cause: format!("the table of {what} is full") }
}

impl std::fmt::Debug for MemoryPresence {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("MemoryPresence")
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use ringside_ports::presence::Rate;
    use std::sync::atomic::{AtomicU64, Ordering};

    #[tokio::test]
    async fn rested_buckets_are_forgotten() {
        let now = Arc::new(AtomicU64::new(0));
        let clock = Arc::clone(&now);
        let presence =
            MemoryPresence::with_clock(move || Duration::from_millis(clock.load(Ordering::Relaxed)));
        let rate = Rate { per_minute: 60, burst: 1 };
        let charge = |name: usize| {
            Charge::one(Account::LoginGuesses(std::net::Ipv4Addr::LOCALHOST.into(), name.to_string()), rate)
        };
        for name in 0..BUCKETS_SWEEP_MIN {
            presence.charge(&[charge(name)]).await.expect("granted");
        }
        assert_eq!(presence.state().buckets.len(), BUCKETS_SWEEP_MIN);
        now.store(1_000, Ordering::Relaxed);
        presence.charge(&[charge(BUCKETS_SWEEP_MIN)]).await.expect("granted");
        assert_eq!(presence.state().buckets.len(), 1, "all others were full again");
    }
}
