//! Connections that have not asked for anything yet.

use std::collections::VecDeque;

use ringside_reactor::ConnectionId;

use crate::table::Table;

/// In the order in which they came, those included that have asked or gone since, as long as somebody before them has not.
/// All of it is of the last handshake timeout.
#[derive(Debug, Default)]
pub(crate) struct PendingHandshakes(VecDeque<ConnectionId>);

impl PendingHandshakes {
    pub(crate) fn add(&mut self, connection: ConnectionId, table: &mut Table) {
        self.0.push_back(connection);
        self.forget_others(table);
    }

    /// The one that has been here for the longest time. Somebody honest asks within a round trip, so that whoever sits
    /// here longer than the others is the one to go: to keep somebody out, all places must be taken within that time.
    pub(crate) fn oldest(&mut self, table: &mut Table) -> Option<ConnectionId> {
        self.forget_others(table);
        self.0.front().copied()
    }

    fn forget_others(&mut self, table: &mut Table) {
        let mut is_pending =
            |connection| table.session(connection).is_some_and(|session| session.is_in_handshake());
        while self.0.pop_front_if(|connection| !is_pending(*connection)).is_some() {}
    }
}
