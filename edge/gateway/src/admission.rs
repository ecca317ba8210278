//! From the first byte to `hello`.

use std::net::IpAddr;
use std::sync::Arc;

use ringside_edge_protocol::{AdmitRefusal, Subscription, ToNode};
use ringside_reactor::{ConnectionId, Io};
use ringside_session::budget::Budget;
use ringside_session::heartbeat::Heartbeat;
use ringside_types::forwarded::{Forwarded, ForwardedHeaders};
use ringside_websocket::handshake::{Request as HandshakeRequest, RequestParser};
use ringside_websocket::{Connection, Limits, Role};
use ringside_wire::event::{Event, Hello, HelloLimits};
use ringside_wire::records::Profile;

use crate::config::EARLY_BYTES_MAX;
use crate::connection::{Admitting, Client, Open, Phase};
use crate::counters::{add, set};
use crate::frames;
use crate::gateway::Gateway;
use crate::handshake::{Accepted, Refused, forwarded_headers, judge};

impl Gateway {
    /// Bytes of a request.
    pub(crate) fn handshake(
        &mut self,
        io: &mut Io,
        connection: ConnectionId,
        mut parser: Box<RequestParser>,
        data: &[u8],
    ) {
        let time = self.time(io);
        let mut client = None;
        let judged = match parser.receive(data) {
            Ok(None) => return self.table.put(connection, Phase::Handshake(parser)),
            Ok(Some((request, consumed))) => {
                let headers = self.proxy_headers(&request);
                let mut forwarded = Forwarded::default();
                if headers != ForwardedHeaders::default()
                    && let Some(peer) = self.peer(io, connection)
                {
                    client = Some(self.config.trusted_proxies.client(peer, &headers));
                    forwarded = self.config.trusted_proxies.forwarded(peer, &headers);
                }
                judge(&request, &self.config.origins, forwarded, &self.verifier, time)
                    .map(|accepted| (accepted, &data[consumed..]))
            }
            Err(refusal) => Err(Refused::Request(refusal)),
        };
        let is_head = parser.asks_head();
        let refused = match judged {
            Ok(_) if self.draining => Refused::Draining,
            Ok(_) if self.counters.open_now() >= u64::from(self.config.connections_max) => Refused::Full,
            Ok(_) if self.outgoing.is_full() => Refused::Unavailable,
            Ok((accepted, early)) => return self.ask(io, connection, accepted, client, early),
            Err(refused) => refused,
        };
        self.refuse_request(io, connection, &refused, is_head, client);
    }

    /// What proxies have written into a request; nothing where none is trusted.
    fn proxy_headers<'a>(&self, request: &HandshakeRequest<'a>) -> ForwardedHeaders<'a> {
        if self.config.trusted_proxies.is_empty() {
            return ForwardedHeaders::default();
        }
        forwarded_headers(request)
    }

    /// The address at the other end of a connection.
    pub(crate) fn peer(&self, io: &mut Io, connection: ConnectionId) -> Option<IpAddr> {
        io.peer_address(connection).map(|peer| self.config.peers.of(peer))
    }

    fn ask(
        &mut self,
        io: &mut Io,
        connection: ConnectionId,
        accepted: Accepted,
        client: Option<IpAddr>,
        early: &[u8],
    ) {
        let Accepted { claims, answer } = accepted;
        let (user_id, session_id) = (claims.sub, claims.sid);
        let admitting = Box::new(Admitting { claims, answer, early: Vec::new(), client });
        let request = ToNode::Admit { connection: self.reference(connection), user_id, session_id };
        self.outgoing.push(request);
        self.early(io, connection, admitting, early);
    }

    /// Bytes behind the request: kept, unread, until the answer is given.
    pub(crate) fn early(
        &mut self,
        io: &mut Io,
        connection: ConnectionId,
        mut admitting: Box<Admitting>,
        data: &[u8],
    ) {
        let fits = admitting.early.len() + data.len() <= EARLY_BYTES_MAX;
        if fits {
            admitting.early.extend_from_slice(data);
        }
        self.table.put(connection, Phase::Admitting(admitting));
        if !fits {
            self.refuse(io, connection, &Refused::EarlyBytes);
        }
    }

    /// Answers a handshake with anything but 101.
    pub(crate) fn refuse(&mut self, io: &mut Io, connection: ConnectionId, refused: &Refused) {
        self.refuse_request(io, connection, refused, false, None);
    }

    fn refuse_request(
        &mut self,
        io: &mut Io,
        connection: ConnectionId,
        refused: &Refused,
        is_head: bool,
        mut client: Option<IpAddr>,
    ) {
        let reason = refused.reason();
        self.counters.count_refusal(reason);
        let phase = self.table.take(connection);
        if let Some(Phase::Admitting(admitting)) = &phase {
            client = client.or(admitting.client);
        }
        let client = client.or_else(|| self.peer(io, connection));
        tracing::info!(reason, address = client.map(tracing::field::display), "a handshake was refused");
        if let Some(Phase::Admitting(_)) = phase {
            let connection = self.reference(connection);
            self.outgoing.push(ToNode::Closed { connection });
        }
        if let Some(queue) = io.queue(connection) {
            refused.write(queue, is_head);
        }
        io.close_after_answer(connection);
    }

    /// The node's no.
    pub(crate) fn refused(&mut self, io: &mut Io, connection: ConnectionId, reason: AdmitRefusal) {
        let refused = match reason {
            AdmitRefusal::TooManyConnections => Refused::TooManyConnections,
            AdmitRefusal::RateLimited { retry_after_ms } => Refused::RateLimited { retry_after_ms },
            AdmitRefusal::SessionEnded => Refused::SessionEnded,
            AdmitRefusal::Unavailable => Refused::Unavailable,
        };
        self.refuse(io, connection, &refused);
    }

    /// The node's yes: 101, `hello`, and from here on the user's channels.
    pub(crate) fn admitted(
        &mut self,
        io: &mut Io,
        connection: ConnectionId,
        profile: Arc<Profile>,
        budget: Arc<Budget>,
        channels: Vec<Subscription>,
    ) {
        let phase = match self.table.take(connection) {
            Some(Phase::Admitting(admitting)) => admitting,
            Some(other) => return self.table.put(connection, other),
            None => return,
        };
        if self.draining {
            self.table.put(connection, Phase::Admitting(phase));
            return self.refuse(io, connection, &Refused::Draining);
        }
        let Admitting { claims, answer, mut early, client: _ } = *phase;
        add(&self.counters.upgraded, 1);
        set(&self.counters.open, self.counters.open_now() + 1);
        let profile = self.index.connect(claims.sub, connection, profile);
        for subscription in channels {
            self.index.join(claims.sub, subscription);
        }
        let time = self.time(io);
        let interval = std::time::Duration::from_millis(self.config.heartbeat_interval_ms);
        let heartbeat = Heartbeat::new(interval, rand::random(), io.now(), claims.expires_at());
        self.set_timer(io, connection, heartbeat.next(io.now(), time));
        let client = Client {
            user_id: claims.sub,
            session_id: claims.sid,
            profile,
            budget,
            heartbeat,
            reader: None,
            commands: 0,
            ending: false,
        };
        let limits = Limits { max_message_bytes: self.config.limits.message_bytes_max() };
        let mut open = Box::new(Open { machine: Connection::new(Role::Server, limits), client });
        if let Some(queue) = io.queue(connection) {
            queue.extend_from_slice(&answer);
        }
        self.say_hello(io, connection, &open.client);
        self.frames(io, connection, &mut open, &mut early);
        self.table.put(connection, Phase::Open(open));
    }

    fn say_hello(&mut self, io: &mut Io, connection: ConnectionId, client: &Client) {
        let server_time = self.time(io);
        let (slot, epoch) = self.seat.unwrap_or_default();
        let limits = &self.config.limits;
        let hello = Hello {
            connection_id: format!("{slot}-{epoch}-{}-{:x}", self.shard.0, connection.to_u64()),
            user_id: client.user_id,
            heartbeat_interval_ms: self.config.heartbeat_interval_ms,
            server_time,
            limits: HelloLimits {
                message_bytes: limits.message_bytes_max(),
                messages_per_second: limits.messages_per_second,
                channel_messages_per_minute: limits.channel_messages_per_minute,
                connections_per_user: limits.connections_per_user,
                sync_messages: limits.sync_messages,
            },
        };
        if let Some(queue) = io.queue(connection) {
            frames::write(queue, &mut self.scratch, None, &Event::Hello(hello));
        }
    }
}
