//! One connection's life, from the first byte of its request to its close.
//!
//! ```text
//! handshake -- a good request --> admitting -- the node's yes --> open -- closed --> ended
//! ```
//!
//! Inputs are `handle_*`: bytes of the peer, what the node says, the timer, the end of the socket. Each is lent a
//! [`Context`]: frames go into its host's queue, everything else into its [`Outputs`], which the
//! caller polls before it calls any session again. A session sets no clock, opens no socket and draws no number.
//!
//! No byte behind the request is looked at before the request is answered with 101. While a channel is being read, its
//! events are not for the connection; it goes live in the call in which it reaches the shard's last record. From the
//! close frame on, or once it is to be silent, the connection is out of the index.

mod closing;
mod commands;
mod handshake;
mod records;
mod syncing;

use std::net::IpAddr;
use std::sync::Arc;

use ringside_types::{CloseCode, SessionId, UserId};
use ringside_websocket::handshake::RequestParser;
use ringside_websocket::{Opcode, write_frame};
use ringside_wire::event::{Ack, Event, GoodbyeReason};
use ringside_wire::records::Profile;

use crate::budget::Budget;
use crate::context::Context;
use crate::delivery::{Delivery, Outcome};
use crate::handshake::HandshakeRefusal;
use crate::heartbeat::{Due, Heartbeat};
use crate::limits::HANDSHAKE_TIMEOUT;
use crate::output::{Output, Outputs};
use crate::reader::Reader;
use crate::token::Claims;

/// One connection of a shard.
#[derive(Debug)]
pub struct Session {
    state: State,
}

#[derive(Debug)]
enum State {
    /// The request is not whole yet.
    Handshake(Box<RequestParser>),
    /// The node is asked whether the connection may come in.
    Admitting(Box<Admitting>),
    Open(Box<Open>),
    /// The last words are said; what still comes is discarded.
    Ended,
}

/// A good request that waits for the node's word.
#[derive(Debug)]
struct Admitting {
    claims: Claims,
    /// The answer 101, ready to be sent.
    answer: Vec<u8>,
    /// What came after the request.
    early: Vec<u8>,
    /// Whom a trusted proxy says that it is from.
    client: Option<IpAddr>,
}

/// A connection past its handshake.
#[derive(Debug)]
struct Open {
    machine: ringside_websocket::Connection,
    client: Client,
}

/// Whose connection it is, and what they wait for.
#[derive(Debug)]
struct Client {
    user_id: UserId,
    session_id: SessionId,
    /// As others see them.
    profile: Arc<Profile>,
    budget: Arc<Budget>,
    heartbeat: Heartbeat,
    /// Present while there is something to read.
    reader: Option<Box<Reader>>,
    /// Commands that wait for the node's answer.
    commands: u16,
    /// A close frame is sent, and the peer's awaited.
    is_closing: bool,
}

/// What an idle connection costs, beside its part of the index.
const OPEN_BYTES_LIMIT: usize = 160;
const _: () = assert!(size_of::<Open>() <= OPEN_BYTES_LIMIT);
const _: () = assert!(size_of::<Session>() <= 16);

impl Session {
    /// A connection was accepted.
    pub fn new(outputs: &mut Outputs) -> Self {
        outputs.push(Output::SetTimer(HANDSHAKE_TIMEOUT));
        Self { state: State::Handshake(Box::default()) }
    }

    /// Bytes came from the peer. They are unmasked in place.
    pub fn handle_bytes(&mut self, data: &mut [u8], context: &mut Context<'_>) {
        match &mut self.state {
            State::Handshake(_) => self.handle_request(data, context),
            State::Admitting(_) => self.keep_early(data, context),
            State::Open(open) => open.handle_frames(data, context),
            State::Ended => {}
        }
    }

    /// The node said something about the connection. What has no place in its state is dropped.
    pub fn handle_delivery(&mut self, delivery: Delivery<'_>, context: &mut Context<'_>) {
        match (&mut self.state, delivery) {
            (State::Admitting(_), Delivery::Admitted { profile, budget, channels }) => {
                self.handle_admitted(profile, budget, channels, context);
            }
            (State::Admitting(_), Delivery::Refused(refusal)) => self.refuse(&refusal.into(), context),
            (State::Admitting(_), Delivery::Fenced) => self.refuse(&HandshakeRefusal::Unavailable, context),
            (State::Open(open), delivery) => open.client.handle_delivery(delivery, context),
            _ => {}
        }
    }

    /// The timer ran out.
    pub fn handle_timeout(&mut self, context: &mut Context<'_>) {
        match &mut self.state {
            State::Handshake(_) => self.refuse(&HandshakeRefusal::Timeout, context),
            State::Admitting(_) => self.refuse(&HandshakeRefusal::Unavailable, context),
            State::Open(open) => open.client.handle_timeout(context),
            State::Ended => context.output(Output::CloseNow),
        }
    }

    /// A turn has passed since [`Output::Stalled`].
    pub fn handle_stalled(&mut self, context: &mut Context<'_>) {
        if let State::Open(open) = &mut self.state
            && let Some(reader) = &mut open.client.reader
        {
            reader.is_stalled = false;
            open.client.read(context);
        }
    }

    /// The peer takes what is queued too slowly, or not at all. What the kernel was not given yet can go: the client finds
    /// it by syncing.
    pub fn handle_overflow(&mut self, context: &mut Context<'_>) {
        context.host.queue().clear();
        if let State::Open(open) = &mut self.state {
            open.client.dismiss(GoodbyeReason::SlowConsumer, CloseCode::SlowConsumer, context);
        }
        self.close_slowly(context);
    }

    /// The connection gives way to another: it has not asked for anything yet.
    pub fn handle_eviction(&mut self, context: &mut Context<'_>) {
        self.state = State::Ended;
        context.output(Output::CloseNow);
    }

    /// The socket is gone.
    pub fn handle_closed(&mut self, context: &mut Context<'_>) {
        match std::mem::replace(&mut self.state, State::Ended) {
            State::Open(mut open) => {
                open.client.begin_close(context);
                context.output(Output::Gone);
            }
            State::Admitting(_) => context.output(Output::Gone),
            State::Handshake(_) | State::Ended => {}
        }
    }

    /// Whether its request is not whole yet.
    pub fn is_in_handshake(&self) -> bool {
        matches!(self.state, State::Handshake(_))
    }

    /// Whether it is past its handshake, until the socket is gone.
    pub fn is_open(&self) -> bool {
        matches!(self.state, State::Open(_))
    }

    /// Whether frames are still for it: open, and no close frame sent.
    pub fn is_live(&self) -> bool {
        matches!(&self.state, State::Open(open) if !open.client.is_closing)
    }
}

impl Client {
    fn handle_delivery(&mut self, delivery: Delivery<'_>, context: &mut Context<'_>) {
        match delivery {
            Delivery::Answer { frame_id, outcome } => self.handle_answer(frame_id, outcome, context),
            Delivery::Fenced => self.silence(GoodbyeReason::Draining, CloseCode::Draining, context),
            Delivery::SessionEnded(ended) => {
                if ended.is_none_or(|session_id| session_id == self.session_id) {
                    self.silence(GoodbyeReason::Policy, CloseCode::SignedOut, context);
                }
            }
            _ if self.is_closing => {}
            Delivery::Pages(pages) => self.handle_pages(pages, context),
            Delivery::PageRefused { channel_id, code } => self.handle_page_refused(channel_id, code, context),
            Delivery::SignalRefused { frame_id, code, message } => {
                context.send_error(frame_id, code, message, None);
            }
            Delivery::Presence(update) => context.send(None, &Event::PresenceUpdate(update)),
            Delivery::Joined { channel_id, from_id, change, comes_live } => {
                self.handle_joined(channel_id, from_id, change, comes_live, context);
            }
            Delivery::Left { channel_id } => self.drop_channel(channel_id, context),
            Delivery::Probe => self.handle_probe(context),
            Delivery::Drain { after } => context.output(Output::SetTimer(after)),
            Delivery::Admitted { .. } | Delivery::Refused(_) => {}
        }
    }

    fn handle_answer(&mut self, id: Option<&str>, outcome: &Outcome, context: &mut Context<'_>) {
        self.commands = self.commands.saturating_sub(1);
        if self.is_closing {
            return;
        }
        match *outcome {
            Outcome::Acknowledged => context.send(id, &Event::Ack(Ack::RECEIVED)),
            Outcome::Refused { code, message, retry_after_ms } => {
                context.send_error(id, code, message, retry_after_ms);
            }
        }
    }

    fn handle_timeout(&mut self, context: &mut Context<'_>) {
        if self.is_closing {
            return context.output(Output::CloseNow);
        }
        if context.is_draining {
            return self.dismiss(GoodbyeReason::Draining, CloseCode::Draining, context);
        }
        match self.heartbeat.due(context.now, context.time) {
            Due::Nothing => {}
            Due::Ping => ping(context),
            Due::Silent => {
                context.counts.silent += 1;
                return context.output(Output::CloseNow);
            }
            Due::Expired => {
                return self.dismiss(GoodbyeReason::TokenExpired, CloseCode::TokenExpired, context);
            }
        }
        self.set_timer(context);
    }

    fn handle_probe(&mut self, context: &mut Context<'_>) {
        self.heartbeat.probe(context.now);
        ping(context);
        self.set_timer(context);
    }

    fn set_timer(&self, context: &mut Context<'_>) {
        context.output(Output::SetTimer(self.heartbeat.next(context.now, context.time)));
    }
}

fn ping(context: &mut Context<'_>) {
    write_frame(context.host.queue(), Opcode::Ping, &[], None);
}
