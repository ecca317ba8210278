//! What the gateway knows of each connection, by the reactor's slots.

use std::net::IpAddr;
use std::sync::Arc;

use ringside_reactor::{ConnectionId, TimerId};
use ringside_session::budget::Budget;
use ringside_session::heartbeat::Heartbeat;
use ringside_session::reader::Reader;
use ringside_session::token::Claims;
use ringside_types::{SessionId, UserId};
use ringside_websocket::handshake::RequestParser;
use ringside_wire::records::Profile;

/// Where a connection is in its life.
#[derive(Debug)]
pub(crate) enum Phase {
    /// Its request is not whole yet.
    Handshake(Box<RequestParser>),
    /// The node is asked whether it may come in.
    Admitting(Box<Admitting>),
    /// It is in.
    Open(Box<Open>),
    /// The last words are said; what still comes is discarded.
    Ended,
}

/// A good request that waits for the node's word.
#[derive(Debug)]
pub(crate) struct Admitting {
    pub(crate) claims: Claims,
    /// The answer 101, ready to be sent.
    pub(crate) answer: Vec<u8>,
    /// What came after the request. Not looked at before the answer is given.
    pub(crate) early: Vec<u8>,
    /// Whom a trusted proxy says that it is from.
    pub(crate) client: Option<IpAddr>,
}

/// A connection past its handshake.
#[derive(Debug)]
pub(crate) struct Open {
    pub(crate) machine: ringside_websocket::Connection,
    pub(crate) client: Client,
}

/// Who it is, and what they wait for.
#[derive(Debug)]
pub(crate) struct Client {
    pub(crate) user_id: UserId,
    pub(crate) session_id: SessionId,
    /// As others see them; shared by the user's connections.
    pub(crate) profile: Arc<Profile>,
    /// What the user's frames are charged to.
    pub(crate) budget: Arc<Budget>,
    pub(crate) heartbeat: Heartbeat,
    /// Present while there is something to read.
    pub(crate) reader: Option<Box<Reader>>,
    /// Commands that wait for the node's answer.
    pub(crate) commands: u16,
    /// Our close frame is sent, and the peer's awaited.
    pub(crate) ending: bool,
}

/// What an idle connection costs the gateway, beside its part of the index.
const OPEN_BYTES_LIMIT: usize = 160;
const _: () = assert!(size_of::<Open>() <= OPEN_BYTES_LIMIT);

#[derive(Debug)]
struct Entry {
    id: ConnectionId,
    phase: Phase,
    timer: Option<TimerId>,
}

/// All connections of a shard.
#[derive(Debug, Default)]
pub(crate) struct Table {
    entries: Vec<Option<Entry>>,
}

impl Table {
    pub(crate) fn insert(&mut self, id: ConnectionId, phase: Phase) {
        let slot = id.slot() as usize;
        if self.entries.len() <= slot {
            self.entries.resize_with(slot + 1, || None);
        }
        self.entries[slot] = Some(Entry { id, phase, timer: None });
    }

    fn entry(&mut self, id: ConnectionId) -> Option<&mut Entry> {
        self.entries.get_mut(id.slot() as usize)?.as_mut().filter(|entry| entry.id == id)
    }

    /// Takes the phase out, such that gateway and connection can both be changed; `Ended` stands in its place.
    pub(crate) fn take(&mut self, id: ConnectionId) -> Option<Phase> {
        Some(std::mem::replace(&mut self.entry(id)?.phase, Phase::Ended))
    }

    /// Puts a phase (back).
    pub(crate) fn put(&mut self, id: ConnectionId, phase: Phase) {
        if let Some(entry) = self.entry(id) {
            entry.phase = phase;
        }
    }

    /// Forgets a connection.
    pub(crate) fn remove(&mut self, id: ConnectionId) -> Option<(Phase, Option<TimerId>)> {
        let entry = self.entries.get_mut(id.slot() as usize)?.take_if(|entry| entry.id == id)?;
        Some((entry.phase, entry.timer))
    }

    /// Whether its request is not whole yet.
    pub(crate) fn is_in_handshake(&mut self, id: ConnectionId) -> bool {
        self.entry(id).is_some_and(|entry| matches!(entry.phase, Phase::Handshake(_)))
    }

    /// The connection, if it is past its handshake.
    pub(crate) fn client(&mut self, id: ConnectionId) -> Option<&mut Client> {
        match &mut self.entry(id)?.phase {
            Phase::Open(open) => Some(&mut open.client),
            _ => None,
        }
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
