//! Who is connected, and limits.

use ringside_embedded::MemoryPresence;
use ringside_ports::presence::{Charge, Connection, JointDecision, RateDecision, Status, StatusChange};
use ringside_ports::{EngineError, Presence};
use ringside_types::{Epoch, Slot, UserId};

/// Who is connected, and limits.
#[derive(Clone, Debug)]
pub(crate) enum PresenceEngine {
    /// In this process's memory.
    Embedded(MemoryPresence),
}

delegate! {
    Presence for PresenceEngine [Embedded] {
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
