//! Sessions are called here, and what they ask for is done.

use std::net::IpAddr;

use ringside_edge_protocol::{
    ConnectionRef, PresenceRequest, ReadRequest, SignalRequest, Submission, ToNode,
};
use ringside_reactor::ConnectionId;
use ringside_session::context::Context;
use ringside_session::cursor::Cursor;
use ringside_session::delivery::{Delivery, Subscription};
use ringside_session::output::Output;
use ringside_session::session::Session;
use ringside_types::{MessageId, UserId};

use super::Gateway;
use super::host::SocketHost;
use crate::counters::set;
use crate::sockets::Sockets;

impl Gateway {
    /// Gives one input to a connection's session, and does what it asks for. Nothing is done for a stale id.
    pub(crate) fn call(
        &mut self,
        io: &mut impl Sockets,
        connection: ConnectionId,
        input: impl FnOnce(&mut Session, &mut Context<'_>),
    ) {
        let time = self.time(io);
        let is_full = self.counters.open_now() >= u64::from(self.config.connections_max);
        let Some(session) = self.table.session(connection) else { return };
        let mut context = Context {
            now: io.now(),
            time,
            settings: &self.settings,
            verifier: &self.verifier,
            lease: self.lease,
            shard: self.shard.0,
            token: connection.to_u64(),
            is_draining: self.is_draining,
            is_full,
            node_room: self.outgoing.room(),
            host: &mut SocketHost {
                io,
                connection,
                index: &self.index,
                peers: &self.config.peers,
                discarded: &mut self.discarded,
            },
            scratch: &mut self.scratch,
            counts: &mut self.counts,
            outputs: &mut self.outputs,
        };
        input(session, &mut context);
        self.do_outputs(io, connection);
    }

    /// Tells a connection's session what the node says.
    pub(crate) fn tell(&mut self, io: &mut impl Sockets, connection: ConnectionId, delivery: Delivery<'_>) {
        self.call(io, connection, |session, context| session.handle_delivery(delivery, context));
    }

    /// Tells all sessions of a user.
    pub(crate) fn tell_user<'a>(
        &mut self,
        io: &mut impl Sockets,
        user: UserId,
        delivery: impl Fn() -> Delivery<'a>,
    ) {
        for connection in self.index.connections(user).to_vec() {
            self.tell(io, connection, delivery());
        }
    }

    pub(super) fn do_outputs(&mut self, io: &mut impl Sockets, connection: ConnectionId) {
        while let Some(output) = self.outputs.poll_output() {
            self.do_output(io, connection, output);
        }
    }

    fn do_output(&mut self, io: &mut impl Sockets, connection: ConnectionId, output: Output) {
        match output {
            Output::Opened { user_id, channels, early } => {
                self.session_opened(io, connection, user_id, channels, early);
            }
            Output::SetCursor(channel, cursor) => {
                if let Some(channel) = self.index.channel(channel) {
                    channel.set_cursor(connection, cursor);
                }
            }
            Output::Leave(user_id) => self.index.disconnect(user_id, connection),
            Output::SetTimer(after) => {
                let timer = io.set_timer(after, connection.to_u64());
                if let Some(before) = self.table.set_timer(connection, timer) {
                    io.cancel_timer(before);
                }
            }
            Output::Stalled => self.stalled.push(connection),
            Output::CloseNow => io.close_now(connection),
            Output::CloseAfterFlush => io.close_after_flush(connection),
            Output::CloseAfterAnswer => io.close_after_answer(connection),
            Output::HandshakeRefused { reason, client } => {
                self.counters.count_refusal(reason);
                let client = client.or_else(|| self.peer(io, connection));
                let address = client.map(tracing::field::display);
                tracing::info!(reason, address, "a handshake was refused");
            }
            Output::TokenRefused { reason, user_id } => {
                self.counters.count_auth_refusal(reason);
                let address = self.peer(io, connection).map(tracing::field::display);
                tracing::info!(reason, address, account = %user_id, "an access token was refused");
            }
            Output::InvalidPage(channel, error) => {
                tracing::error!(%error, %channel, "a page can't be shown to a client");
            }
            request => self.outgoing.extend(request_of(self.reference(connection), io, request)),
        }
    }

    fn session_opened(
        &mut self,
        io: &mut impl Sockets,
        connection: ConnectionId,
        user_id: UserId,
        channels: Vec<Subscription>,
        mut early: Vec<u8>,
    ) {
        set(&self.counters.open, self.counters.open_now() + 1);
        self.index.connect(user_id, connection);
        for subscription in channels {
            self.index.join(user_id, subscription);
            let Subscription { channel_id, waiting, .. } = subscription;
            if waiting != MessageId::ZERO
                && let Some(channel) = self.index.channel(channel_id)
            {
                channel.set_cursor(connection, Cursor::Live { floor: waiting });
            }
        }
        if !early.is_empty() {
            self.call(io, connection, |session, context| session.handle_bytes(&mut early, context));
        }
    }

    fn peer(&self, io: &mut impl Sockets, connection: ConnectionId) -> Option<IpAddr> {
        io.peer_address(connection).map(|peer| self.config.peers.of(peer))
    }

    fn reference(&self, connection: ConnectionId) -> ConnectionRef {
        ConnectionRef { shard: self.shard, token: connection.to_u64() }
    }
}

/// The request to the node that an output asks for, if it asks for one.
fn request_of(connection: ConnectionRef, io: &impl Sockets, output: Output) -> Option<ToNode> {
    Some(match output {
        Output::Admit { user_id, session_id } => ToNode::Admit { connection, user_id, session_id },
        Output::Submit(submission) => ToNode::Submit(Submission {
            connection,
            frame_id: submission.frame_id,
            user_id: submission.user_id,
            channel_id: submission.channel_id,
            record: submission.record,
            known_member: submission.known_member,
            operation: submission.operation,
            taken_at: io.now(),
            may_mention: submission.may_mention,
        }),
        Output::Signal { frame_id, user_id, channel_id, signal, known_member } => {
            let said = signal;
            ToNode::Signal(SignalRequest {
                connection,
                frame_id,
                user_id,
                channel_id,
                kind: said,
                known_member,
            })
        }
        Output::Presence { frame_id, user_id, change } => {
            ToNode::Presence(PresenceRequest { connection, frame_id, user_id, change })
        }
        Output::Read { user_id, channels, pages_max } => {
            ToNode::Read(ReadRequest { connection, user_id, channels, pages_max })
        }
        Output::Gone => ToNode::Closed { connection },
        _ => return None,
    })
}
