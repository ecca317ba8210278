//! The shard's sessions, by the reactor's slots.

use ringside_reactor::{ConnectionId, TimerId};
use ringside_session::session::Session;

#[derive(Debug)]
struct Entry {
    id: ConnectionId,
    session: Session,
    timer: Option<TimerId>,
}

/// All connections of a shard.
#[derive(Debug, Default)]
pub(crate) struct Table {
    entries: Vec<Option<Entry>>,
}

impl Table {
    pub(crate) fn insert(&mut self, id: ConnectionId, session: Session) {
        let slot = id.slot() as usize;
        if self.entries.len() <= slot {
            self.entries.resize_with(slot + 1, || None);
        }
        self.entries[slot] = Some(Entry { id, session, timer: None });
    }

    fn entry(&mut self, id: ConnectionId) -> Option<&mut Entry> {
        self.entries.get_mut(id.slot() as usize)?.as_mut().filter(|entry| entry.id == id)
    }

    pub(crate) fn session(&mut self, id: ConnectionId) -> Option<&mut Session> {
        self.entry(id).map(|entry| &mut entry.session)
    }

    /// Forgets a connection; returns its timer, which is to be cancelled.
    pub(crate) fn remove(&mut self, id: ConnectionId) -> Option<TimerId> {
        let entry = self.entries.get_mut(id.slot() as usize)?.take_if(|entry| entry.id == id)?;
        entry.timer
    }

    /// Sets the connection's one timer and returns the one before it, which is to be cancelled.
    pub(crate) fn set_timer(&mut self, id: ConnectionId, timer: TimerId) -> Option<TimerId> {
        self.entry(id)?.timer.replace(timer)
    }

    /// Ids of all connections.
    pub(crate) fn ids(&self) -> Vec<ConnectionId> {
        self.entries.iter().flatten().map(|entry| entry.id).collect()
    }
}
