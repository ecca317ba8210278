//! From the first byte to `hello`.

use std::net::IpAddr;
use std::sync::Arc;
use std::time::Duration;

use ringside_types::UserId;
use ringside_types::forwarded::{Forwarded, ForwardedHeaders};
use ringside_websocket::{Connection, Limits, Role};
use ringside_wire::event::{Event, Hello, HelloLimits};
use ringside_wire::records::Profile;

use super::{Admitting, Client, Open, Session, State};
use crate::budget::Budget;
use crate::context::Context;
use crate::delivery::Subscription;
use crate::handshake::{Accepted, HandshakeRefusal, forwarded_headers, judge};
use crate::heartbeat::Heartbeat;
use crate::limits::EARLY_BYTES_MAX;
use crate::output::Output;

impl Session {
    pub(super) fn handle_request(&mut self, data: &[u8], context: &mut Context<'_>) {
        let State::Handshake(parser) = &mut self.state else { return };
        let proxies = &context.settings.trusted_proxies;
        let mut client = None;
        let judged = match parser.receive(data) {
            Ok(None) => return,
            Ok(Some((request, consumed))) => {
                let mut forwarded = Forwarded::default();
                if !proxies.is_empty() {
                    let headers = forwarded_headers(&request);
                    if headers != ForwardedHeaders::default()
                        && let Some(peer) = context.host.peer_address()
                    {
                        client = Some(proxies.client(peer, &headers));
                        forwarded = proxies.forwarded(peer, &headers);
                    }
                }
                judge(&request, &context.settings.origins, forwarded, context.verifier, context.time)
                    .map(|accepted| (accepted, consumed))
            }
            Err(refusal) => Err(HandshakeRefusal::Request(refusal)),
        };
        let is_head = parser.asks_head();
        let refusal = match judged {
            Ok(_) if context.is_draining => HandshakeRefusal::Draining,
            Ok(_) if context.is_full => HandshakeRefusal::Full,
            Ok(_) if context.is_node_full() => HandshakeRefusal::Unavailable,
            Ok((accepted, consumed)) => return self.ask(accepted, client, &data[consumed..], context),
            Err(refusal) => refusal,
        };
        self.refuse_request(&refusal, is_head, client, context);
    }

    fn ask(&mut self, accepted: Accepted, client: Option<IpAddr>, early: &[u8], context: &mut Context<'_>) {
        let Accepted { claims, answer } = accepted;
        context.output(Output::Admit { user_id: claims.sub, session_id: claims.sid });
        self.state = State::Admitting(Box::new(Admitting { claims, answer, early: Vec::new(), client }));
        self.keep_early(early, context);
    }

    /// Bytes behind the request: kept, unread, until the answer is given.
    pub(super) fn keep_early(&mut self, data: &[u8], context: &mut Context<'_>) {
        let State::Admitting(admitting) = &mut self.state else { return };
        if admitting.early.len() + data.len() > EARLY_BYTES_MAX {
            return self.refuse(&HandshakeRefusal::EarlyBytes, context);
        }
        admitting.early.extend_from_slice(data);
    }

    /// Answers the handshake with anything but 101.
    pub(super) fn refuse(&mut self, refusal: &HandshakeRefusal, context: &mut Context<'_>) {
        self.refuse_request(refusal, false, None, context);
    }

    fn refuse_request(
        &mut self,
        refusal: &HandshakeRefusal,
        is_head: bool,
        mut client: Option<IpAddr>,
        context: &mut Context<'_>,
    ) {
        if let State::Admitting(admitting) = std::mem::replace(&mut self.state, State::Ended) {
            client = client.or(admitting.client);
            context.output(Output::Gone);
        }
        context.output(Output::HandshakeRefused { reason: refusal.reason(), client });
        refusal.write(context.host.queue(), is_head);
        context.output(Output::CloseAfterAnswer);
    }

    /// The node's yes: 101, `hello`, and from here on the user's channels.
    pub(super) fn handle_admitted(
        &mut self,
        profile: Arc<Profile>,
        budget: Arc<Budget>,
        channels: Vec<Subscription>,
        context: &mut Context<'_>,
    ) {
        if context.is_draining {
            return self.refuse(&HandshakeRefusal::Draining, context);
        }
        let State::Admitting(admitting) = std::mem::replace(&mut self.state, State::Ended) else { return };
        let Admitting { claims, answer, early, client: _ } = *admitting;
        let interval = Duration::from_millis(context.settings.heartbeat_interval_ms);
        let seed = context.host.random();
        let client = Client {
            user_id: claims.sub,
            session_id: claims.sid,
            profile,
            budget,
            heartbeat: Heartbeat::new(interval, seed, context.now, claims.expires_at()),
            reader: None,
            commands: 0,
            is_closing: false,
        };
        context.counts.upgraded += 1;
        client.set_timer(context);
        context.host.queue().extend_from_slice(&answer);
        say_hello(client.user_id, context);
        let limits = Limits { max_message_bytes: context.settings.limits.message_bytes_max() };
        let machine = Connection::new(Role::Server, limits);
        self.state = State::Open(Box::new(Open { machine, client }));
        context.output(Output::Opened { user_id: claims.sub, channels, early });
    }
}

fn say_hello(user_id: UserId, context: &mut Context<'_>) {
    let (slot, epoch) = context.lease.unwrap_or_default();
    let limits = &context.settings.limits;
    let hello = Hello {
        connection_id: format!("{slot}-{epoch}-{}-{:x}", context.shard, context.token),
        user_id,
        heartbeat_interval_ms: context.settings.heartbeat_interval_ms,
        server_time: context.time,
        limits: HelloLimits {
            message_bytes: limits.message_bytes_max(),
            messages_per_second: limits.messages_per_second,
            channel_messages_per_minute: limits.channel_messages_per_minute,
            connections_per_user: limits.connections_per_user,
            sync_messages: limits.sync_messages,
        },
    };
    context.send(None, &Event::Hello(hello));
}
