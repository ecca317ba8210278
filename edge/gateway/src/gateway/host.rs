//! What a session asks of the gateway while it is called: its socket's queue, and the index.

use std::net::IpAddr;

use ringside_reactor::ConnectionId;
use ringside_session::context::Host;
use ringside_types::{ChannelId, MessageId, UserId};

use crate::config::PeerLookup;
use crate::index::Index;
use crate::sockets::Sockets;

/// A connection's socket, and what the shard knows of channels.
pub(crate) struct SocketHost<'a, S> {
    pub(crate) io: &'a mut S,
    pub(crate) connection: ConnectionId,
    pub(crate) index: &'a Index,
    pub(crate) peers: &'a PeerLookup,
    /// Takes what is said to a connection that takes nothing any more.
    pub(crate) discarded: &'a mut Vec<u8>,
}

impl<S: Sockets> Host for SocketHost<'_, S> {
    fn queue(&mut self) -> &mut Vec<u8> {
        if let Some(queue) = self.io.queue(self.connection) {
            return queue;
        }
        self.discarded.clear();
        self.discarded
    }

    fn queued_bytes(&self) -> usize {
        self.io.queued_bytes(self.connection)
    }

    fn peer_address(&mut self) -> Option<IpAddr> {
        self.io.peer_address(self.connection).map(|peer| self.peers.of(peer))
    }

    fn random(&mut self) -> u64 {
        self.io.random()
    }

    fn is_member(&self, user: UserId, channel: ChannelId) -> bool {
        self.index.is_member(user, channel)
    }

    fn last_record(&self, channel: ChannelId) -> Option<MessageId> {
        self.index.last_record(channel)
    }
}
