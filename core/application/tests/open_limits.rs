//! Limits without their engine: everything passes, counted; and with it, nothing is looser.

use std::sync::atomic::Ordering;

use ringside_application::open_limits::OpenLimits;
use ringside_embedded::MemoryPresence;
use ringside_ports::presence::{
    Account, Charge, Connection, JointDecision, Rate, RateDecision, Status, StatusChange,
};
use ringside_ports::{EngineError, Presence};
use ringside_types::{Epoch, SessionId, Slot, UserId};
use uuid::Uuid;

/// An engine that is gone, as a wiped or unreachable one is to its callers.
#[derive(Clone)]
struct Gone;

fn gone<T>() -> Result<T, EngineError> {
    Err(EngineError::Unavailable { engine: "test", cause: "gone".into() })
}

impl Presence for Gone {
    async fn connect(&self, _: &[Connection], _: u32) -> Result<Vec<bool>, EngineError> {
        gone()
    }

    async fn disconnect(&self, _: &[Connection]) -> Result<Vec<StatusChange>, EngineError> {
        gone()
    }

    async fn set_status(&self, _: &[(Connection, Status)]) -> Result<Vec<StatusChange>, EngineError> {
        gone()
    }

    async fn statuses(&self, _: &[UserId]) -> Result<Vec<Status>, EngineError> {
        gone()
    }

    async fn end_leases(&self, _: Slot, _: Epoch) -> Result<Vec<UserId>, EngineError> {
        gone()
    }

    async fn charge(&self, _: &[Charge]) -> Result<Vec<RateDecision>, EngineError> {
        gone()
    }

    async fn charge_jointly(&self, _: &[Vec<Charge>]) -> Result<Vec<JointDecision>, EngineError> {
        gone()
    }

    async fn refund(&self, _: &[Charge]) -> Result<(), EngineError> {
        gone()
    }
}

const USER: UserId = UserId(Uuid::from_u128(1));

fn charge() -> Charge {
    Charge::one(Account::UserMessages(USER), Rate { per_minute: 1, burst: 3 })
}

fn connection() -> Connection {
    Connection {
        user_id: USER,
        session_id: SessionId(Uuid::from_u128(2)),
        slot: Slot(1),
        epoch: Epoch(2),
        number: 3,
    }
}

#[tokio::test]
async fn what_nobody_can_count_passes_and_is_counted() {
    let limits = OpenLimits::new(Gone);
    let charged = limits.charge(&[charge(), charge()]).await;
    assert_eq!(charged, Ok(vec![RateDecision::Granted { remaining: 3 }; 2]));
    let groups = [vec![charge(), charge()], vec![charge()]];
    assert_eq!(limits.charge_jointly(&groups).await, Ok(vec![JointDecision::Granted; 2]));
    assert_eq!(limits.refund(&[charge()]).await, Ok(()));
    assert_eq!(limits.connect(&[connection()], 1).await, Ok(vec![true]));
    let counters = limits.counters();
    let read = |counter: &std::sync::atomic::AtomicU64| counter.load(Ordering::Relaxed);
    assert_eq!((read(&counters.charges), read(&counters.refunds), read(&counters.connections)), (5, 1, 1));
}

#[tokio::test]
async fn what_is_said_of_presence_still_fails() {
    let limits = OpenLimits::new(Gone);
    assert!(limits.statuses(&[USER]).await.is_err());
    assert!(limits.set_status(&[(connection(), Status::Away)]).await.is_err());
    assert!(limits.disconnect(&[connection()]).await.is_err());
    assert!(limits.end_leases(Slot(1), Epoch(3)).await.is_err());
}

#[tokio::test]
async fn an_engine_that_answers_keeps_its_contract() {
    ringside_ports::contract::presence::suite(async || OpenLimits::new(MemoryPresence::new())).await;
}
