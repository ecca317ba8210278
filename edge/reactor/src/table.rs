//! What the reactor knows of each connection.

use crate::connection::{CloseReason, ConnectionId};
use crate::tls::Session;

/// Where a connection is in its life. It only moves down this list, and from the end to the top.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Phase {
    /// No connection: the slot is free.
    Vacant,
    /// One of our own, not made yet.
    Connecting,
    /// The handler reads and writes.
    Open,
    /// What is queued is still sent, nothing is queued any more, what comes is dropped.
    Draining,
    /// All is sent and our side ended; what comes is dropped until the peer ends, too.
    Finishing,
    /// The handler is about to be told of the end.
    Doomed,
    /// The handler was told; the kernel has not yet let go of the descriptor.
    Closing,
}

/// One connection. Held by the million: see the size assertion below.
#[derive(Debug)]
pub(crate) struct Connection {
    /// Appended by the handler, not yet given to the kernel. No heap while empty.
    pub(crate) pending: Vec<u8>,
    /// Bytes given to the kernel and not yet sent.
    pub(crate) in_flight: usize,
    pub(crate) reason: CloseReason,
    pub(crate) generation: u32,
    pub(crate) phase: Phase,
    /// On the list of connections to flush.
    pub(crate) dirty: bool,
    /// After draining: end our side, then wait for the peer's end.
    pub(crate) finish: bool,
    /// Something came since the last sweep.
    pub(crate) active: bool,
    /// Bytes were in flight at the last look for stalls, and the kernel has taken none since.
    pub(crate) stalled: bool,
    /// The driver was told that it is long idle, and nothing came since.
    pub(crate) dozing: bool,
    /// The handler knows of it, so it must be told of the end.
    pub(crate) opened: bool,
    /// Present where the shard's listener speaks TLS.
    pub(crate) tls: Option<Box<Session>>,
}

const CONNECTION_BYTES_LIMIT: usize = 96;
const _: () = assert!(size_of::<Connection>() <= CONNECTION_BYTES_LIMIT);

const VACANT: Connection = Connection {
    pending: Vec::new(),
    in_flight: 0,
    reason: CloseReason::Requested,
    generation: 0,
    phase: Phase::Vacant,
    dirty: false,
    finish: false,
    active: false,
    stalled: false,
    dozing: false,
    opened: false,
    tls: None,
};

/// All connections of a shard, by slot.
#[derive(Debug, Default)]
pub(crate) struct Table {
    connections: Vec<Connection>,
    /// Slots that are not vacant.
    occupied: usize,
}

impl Table {
    pub(crate) fn occupied(&self) -> usize {
        self.occupied
    }

    /// The connection, or `None` for a stale id.
    pub(crate) fn find(&mut self, id: ConnectionId) -> Option<&mut Connection> {
        self.connections.get_mut(id.slot() as usize).filter(|connection| {
            connection.generation == id.generation() && connection.phase != Phase::Vacant
        })
    }

    pub(crate) fn peek(&self, id: ConnectionId) -> Option<&Connection> {
        self.connections.get(id.slot() as usize).filter(|connection| {
            connection.generation == id.generation() && connection.phase != Phase::Vacant
        })
    }

    pub(crate) fn occupy(&mut self, id: ConnectionId, phase: Phase) {
        let slot = id.slot() as usize;
        while self.connections.len() <= slot {
            self.connections.push(VACANT);
        }
        let connection = &mut self.connections[slot];
        assert!(connection.phase == Phase::Vacant, "a driver gave out a slot that is in use");
        assert!(connection.generation != id.generation(), "a driver gave out a generation twice");
        *connection = Connection { generation: id.generation(), phase, ..VACANT };
        self.occupied += 1;
    }

    /// Frees the slot of a connection that the driver has closed.
    pub(crate) fn vacate(&mut self, id: ConnectionId) {
        let connection = self.find(id).expect("a driver closes only what the table holds");
        assert!(connection.phase == Phase::Closing, "closed by a driver that was not asked to");
        connection.phase = Phase::Vacant;
        connection.tls = None;
        debug_assert!(connection.pending.capacity() == 0);
        self.occupied -= 1;
    }

    /// Slots that were ever used.
    pub(crate) fn slots(&self) -> usize {
        self.connections.len()
    }

    /// The open connection in `slot`.
    pub(crate) fn open_at(&mut self, slot: usize) -> Option<(ConnectionId, &mut Connection)> {
        let connection = self.connections.get_mut(slot)?;
        let id = ConnectionId::new(slot as u32, connection.generation);
        (connection.phase == Phase::Open).then_some((id, connection))
    }

    /// Ids of all connections of which the handler knows.
    pub(crate) fn opened(&self) -> Vec<ConnectionId> {
        self.connections
            .iter()
            .enumerate()
            .filter(|(_, connection)| {
                !matches!(connection.phase, Phase::Vacant | Phase::Closing) && connection.opened
            })
            .map(|(slot, connection)| ConnectionId::new(slot as u32, connection.generation))
            .collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_stale_id_finds_nothing() {
        let mut table = Table::default();
        let first = ConnectionId::new(3, 1);
        table.occupy(first, Phase::Open);
        assert!(table.find(ConnectionId::new(3, 2)).is_none());
        assert!(table.find(ConnectionId::new(2, 0)).is_none());
        assert!(table.find(ConnectionId::new(900, 1)).is_none());
        table.find(first).expect("it is open").phase = Phase::Closing;
        table.vacate(first);
        assert!(table.find(first).is_none());
        let second = ConnectionId::new(3, 2);
        table.occupy(second, Phase::Open);
        assert!(table.find(first).is_none() && table.find(second).is_some());
        assert_eq!(table.occupied(), 1);
    }
}
