//! What clients send: frames, and the commands in them.

use ringside_types::{ChannelId, CloseCode, ErrorCode};
use ringside_websocket::{Event as Frame, Opcode, write_frame};
use ringside_wire::command::{Command, Envelope, Sync};
use ringside_wire::event::{AuthOk, Event, GoodbyeReason};
use ringside_wire::signals::{PresenceSet, Receipt, Typing};

use super::{Client, Open};
use crate::budget::{self, Charged};
use crate::context::Context;
use crate::output::{Output, PresenceChange, SignalKind};
use crate::reader::SyncRequest;
use crate::token::TokenError;

impl Open {
    pub(super) fn handle_frames(&mut self, data: &mut [u8], context: &mut Context<'_>) {
        let Self { machine, client } = self;
        client.heartbeat.heard(context.now);
        if let Err(violation) = machine.receive(data, &mut |frame| client.handle_frame(frame, context)) {
            client.fail(violation.close_code(), context);
        }
    }
}

impl Client {
    fn handle_frame(&mut self, frame: Frame<'_>, context: &mut Context<'_>) {
        match frame {
            Frame::Close { code, .. } => self.handle_close(code, context),
            // After our own close frame only the peer's is of interest.
            _ if self.is_closing => {}
            Frame::Text(text) => self.handle_text(text, context),
            Frame::Binary(_) => self.fail(CloseCode::Unsupported as u16, context),
            Frame::Ping(payload) => self.handle_ping(payload, context),
            Frame::Pong(_) => {}
        }
    }

    fn handle_ping(&mut self, payload: &[u8], context: &mut Context<'_>) {
        let allowance = (&context.settings.limits).into();
        match self.budget.charge(allowance, budget::FRAME_UNITS, context.now) {
            Charged::Granted => write_frame(context.host.queue(), Opcode::Pong, payload, None),
            // A control frame has no error to answer it; what is not answered costs little.
            Charged::Refused { .. } => {}
            Charged::Exhausted => self.let_go(context),
        }
    }

    /// The user goes on in spite of many refusals.
    fn let_go(&mut self, context: &mut Context<'_>) {
        context.counts.policy_closes += 1;
        self.dismiss(GoodbyeReason::Policy, CloseCode::Policy, context);
    }

    fn handle_text(&mut self, text: &[u8], context: &mut Context<'_>) {
        context.counts.frames_in += 1;
        let bytes_units = u32::try_from(text.len() / budget::BYTES_PER_UNIT).unwrap_or(u32::MAX);
        let units = budget::FRAME_UNITS.saturating_add(bytes_units);
        let envelope = match Envelope::read(text) {
            Ok(envelope) => envelope,
            Err(refused) => {
                if self.charge(None, units, context) {
                    context.send_error(None, refused.code, &refused.message, None);
                }
                return;
            }
        };
        let id = envelope.id.as_deref();
        let command = Command::read(&envelope);
        let units = units.saturating_add(command.as_ref().map_or(0, units_of));
        if !is_unlimited(&command, context) && !self.charge(id, units, context) {
            return;
        }
        match command {
            Ok(command) => self.handle_command(id, command, context),
            Err(refused) => context.send_error(id, refused.code, &refused.message, None),
        }
    }

    fn handle_command(&mut self, id: Option<&str>, command: Command<'_>, context: &mut Context<'_>) {
        match command {
            Command::Send(send) => self.send(id, send, context),
            Command::Amend(amend) => self.amend(id, amend, context),
            Command::Receipt(Receipt { channel_id, message_id, is_read }) => {
                let signal =
                    if is_read { SignalKind::Read(message_id) } else { SignalKind::Delivered(message_id) };
                self.signal(id, channel_id, signal, context);
            }
            Command::Typing(Typing { channel_id, is_typing }) => {
                let signal = if is_typing { SignalKind::Typing } else { SignalKind::StoppedTyping };
                self.signal(id, channel_id, signal, context);
            }
            Command::SetPresence(PresenceSet { status, status_message }) => {
                let status_message = status_message.map(|text| text.trim().to_owned());
                self.change_presence(id, PresenceChange::Set { status, status_message }, context);
            }
            Command::Watch(users) => self.change_presence(id, PresenceChange::Watch(users), context),
            Command::Unwatch(users) => self.change_presence(id, PresenceChange::Unwatch(users), context),
            Command::Sync(sync) => self.sync(id, sync, context),
            Command::Auth(token) => self.renew(id, &token, context),
            Command::Ping(payload) => {
                context.send(id, &payload.map_or(Event::BarePong, Event::Pong));
            }
        }
    }

    /// Takes from the user's budget. False: there is not enough, and the client is told so, or dismissed.
    fn charge(&mut self, id: Option<&str>, units: u32, context: &mut Context<'_>) -> bool {
        match self.budget.charge((&context.settings.limits).into(), units, context.now) {
            Charged::Granted => return true,
            Charged::Refused { retry_after_ms } => {
                context.counts.rate_limited += 1;
                let sentence = "Too many requests in a short time; send it again after a pause.";
                context.send_error(id, ErrorCode::RateLimited, sentence, Some(retry_after_ms));
            }
            Charged::Exhausted => self.let_go(context),
        }
        false
    }

    fn signal(
        &mut self,
        id: Option<&str>,
        channel_id: ChannelId,
        signal: SignalKind,
        context: &mut Context<'_>,
    ) {
        if is_too_busy(id, context) {
            return;
        }
        let known_member = context.host.is_member(self.user_id, channel_id);
        let (frame_id, user_id) = (id.map(Into::into), self.user_id);
        context.output(Output::Signal { frame_id, user_id, channel_id, signal, known_member });
    }

    fn change_presence(&mut self, id: Option<&str>, change: PresenceChange, context: &mut Context<'_>) {
        if !is_too_busy(id, context) {
            let (frame_id, user_id) = (id.map(Into::into), self.user_id);
            context.output(Output::Presence { frame_id, user_id, change });
        }
    }

    fn sync(&mut self, id: Option<&str>, sync: Sync, context: &mut Context<'_>) {
        let Sync { channels, limit, .. } = sync;
        let request = SyncRequest { frame_id: id.map(Into::into), channels, limit };
        if !self.reader.get_or_insert_default().offer(request) {
            let sentence = "Too many syncs wait; send the next one after a sync.done.";
            return context.send_error(id, ErrorCode::RateLimited, sentence, Some(1_000));
        }
        self.read(context);
    }

    /// A fresh token of the connection's own session: the connection lives on.
    fn renew(&mut self, id: Option<&str>, token: &str, context: &mut Context<'_>) {
        let verified = context.verifier.verify(token, context.time);
        let (reason, sentence) = match verified {
            Ok(claims) if claims.sub == self.user_id && claims.sid == self.session_id => {
                let expires_at = self.heartbeat.renew(claims.expires_at());
                self.set_timer(context);
                return context.send(id, &Event::AuthOk(AuthOk { expires_at }));
            }
            Ok(_) => {
                let sentence = "The access token belongs to another session; reconnect with it.";
                ("other_session", sentence.to_owned())
            }
            Err(error @ TokenError::Invalid) => ("invalid_token", error.to_string()),
            Err(error @ TokenError::Expired) => ("expired_token", error.to_string()),
        };
        context.output(Output::TokenRefused { reason, user_id: self.user_id });
        context.send_error(id, ErrorCode::Forbidden, &sentence, None);
    }
}

/// Whether it is a message or what amends one, and the operator has switched their limit off.
fn is_unlimited<E>(command: &Result<Command<'_>, E>, context: &Context<'_>) -> bool {
    context.settings.limits.messages_per_second == 0
        && matches!(command, Ok(Command::Send(_) | Command::Amend(_)))
}

fn is_too_busy(id: Option<&str>, context: &mut Context<'_>) -> bool {
    let is_full = context.is_node_full();
    if is_full {
        let sentence = "The server can't take this now; send it again.";
        context.send_error(id, ErrorCode::Unavailable, sentence, Some(1_000));
    }
    is_full
}

/// What a command costs beside its frame. Messages and what amends them have limits of their own besides.
fn units_of(command: &Command<'_>) -> u32 {
    let each = |count: usize, units: u32| u32::try_from(count).unwrap_or(u32::MAX).saturating_mul(units);
    match command {
        Command::Send(_) | Command::Amend(_) | Command::Ping(_) => 0,
        Command::Receipt(_) | Command::Typing(_) => budget::SIGNAL_UNITS,
        Command::SetPresence(_) => budget::PRESENCE_SET_UNITS,
        Command::Watch(users) | Command::Unwatch(users) => each(users.len(), budget::WATCHED_USER_UNITS),
        Command::Sync(sync) => each(sync.channels.len(), budget::SYNC_CHANNEL_UNITS),
        Command::Auth(_) => budget::AUTH_UNITS,
    }
}
