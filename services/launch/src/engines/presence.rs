//! Who is connected, and limits.

use std::sync::atomic::{AtomicU64, Ordering};

use ringside_application::open_limits::OpenLimits;
use ringside_embedded::MemoryPresence;
use ringside_ports::presence::{Charge, Connection, JointDecision, RateDecision, Status, StatusChange};
use ringside_ports::{EngineError, Presence};
use ringside_types::{Epoch, Slot, UserId};

use super::Figure;

/// Who is connected, and limits, which stay open when their engine is gone.
pub(crate) type PresenceEngine = OpenLimits<PresenceChoice>;

/// Who is connected, and limits.
#[derive(Clone, Debug)]
pub(crate) enum PresenceChoice {
    /// In this process's memory.
    Embedded(MemoryPresence),
    #[cfg(feature = "cluster")]
    Redis(ringside_redis::RedisPresence),
}

delegate! {
    Presence for PresenceChoice [Embedded, #[cfg(feature = "cluster")] Redis] {
        fn connect(connections: &[Connection], limit: u32) -> Result<Vec<bool>, EngineError>;
        fn disconnect(connections: &[Connection]) -> Result<Vec<StatusChange>, EngineError>;
        fn set_status(statuses: &[(Connection, Status)]) -> Result<Vec<StatusChange>, EngineError>;
        fn statuses(users: &[UserId]) -> Result<Vec<Status>, EngineError>;
        fn end_leases(slot: Slot, before: Epoch) -> Result<Vec<UserId>, EngineError>;
        fn charge(charges: &[Charge]) -> Result<Vec<RateDecision>, EngineError>;
        fn charge_jointly(groups: &[Vec<Charge>]) -> Result<Vec<JointDecision>, EngineError>;
        fn refund(charges: &[Charge]) -> Result<(), EngineError>;
    }
}

/// What passed because nobody could count it.
pub(super) fn open_figures(presence: &PresenceEngine) -> [Figure; 3] {
    let counters = presence.counters();
    let read = |value: &AtomicU64| value.load(Ordering::Relaxed);
    [
        (
            "open_charges",
            "Charges granted because the limits' engine did not answer.",
            read(&counters.charges),
        ),
        (
            "open_connections",
            "Connections let in uncounted because presence did not answer.",
            read(&counters.connections),
        ),
        (
            "open_refunds",
            "Charges not given back because the limits' engine did not answer.",
            read(&counters.refunds),
        ),
    ]
}
