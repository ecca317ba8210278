//! What clients send: frames, and the commands in them.

use ringside_edge_protocol::{Answer, Outcome, PresenceWish, Submission, ToNode};
use ringside_reactor::{ConnectionId, Io};
use ringside_session::budget::{self, Charged};
use ringside_session::reader::Wish;
use ringside_session::token::TokenError;
use ringside_types::authorization::Operation;
use ringside_types::{ChannelId, CloseCode, ErrorCode};
use ringside_websocket::{Opcode, write_close, write_frame};
use ringside_wire::amendment::{Amend, Change};
use ringside_wire::command::{Command, Envelope, Send, Sync};
use ringside_wire::event::{Ack, AuthOk, ErrorPayload, Event, GoodbyeReason};
use ringside_wire::mention;
use ringside_wire::message::ContentType;
use ringside_wire::records::{self, Origin, amend, command};
use ringside_wire::signals::PresenceSet;

use crate::config::CONNECTION_COMMANDS_MAX;
use crate::connection::{Client, Open};
use crate::counters::add;
use crate::frames;
use crate::gateway::Gateway;

impl Gateway {
    /// Bytes of an open connection.
    pub(crate) fn frames(&mut self, io: &mut Io, connection: ConnectionId, open: &mut Open, data: &mut [u8]) {
        let Open { machine, client } = open;
        client.heartbeat.heard(io.now());
        let received = machine.receive(data, &mut |event| self.frame(io, connection, client, event));
        if let Err(violation) = received {
            self.fail(io, connection, client, violation.close_code());
        }
    }

    fn frame(
        &mut self,
        io: &mut Io,
        connection: ConnectionId,
        client: &mut Client,
        event: ringside_websocket::Event<'_>,
    ) {
        use ringside_websocket::Event::{Binary, Close, Ping, Pong, Text};
        match event {
            // After our own close frame only the peer's is of interest.
            Text(_) | Binary(_) | Ping(_) | Pong(_) if client.ending => {}
            Text(text) => self.text(io, connection, client, text),
            Binary(_) => self.fail(io, connection, client, CloseCode::Unsupported as u16),
            Ping(payload) => {
                let allowance = (&self.config.limits).into();
                match client.budget.charge(allowance, budget::FRAME_UNITS, io.now()) {
                    Charged::Granted => {}
                    // A control frame has no error to answer it; what is not answered costs little.
                    Charged::Refused { .. } => return,
                    Charged::Exhausted => {
                        let (reason, code) = (GoodbyeReason::Policy, CloseCode::Policy);
                        return self.let_go(io, connection, client, reason, code);
                    }
                }
                if let Some(queue) = io.queue(connection) {
                    write_frame(queue, Opcode::Pong, payload, None);
                }
            }
            Pong(_) => {}
            Close { code, .. } => {
                if !client.ending
                    && let Some(queue) = io.queue(connection)
                {
                    write_close(queue, code, "", None);
                }
                client.ending = true;
                io.close_after_flush(connection);
            }
        }
    }

    fn text(&mut self, io: &mut Io, connection: ConnectionId, client: &mut Client, text: &[u8]) {
        add(&self.counters.frames_in, 1);
        let bytes_units = u32::try_from(text.len() / budget::BYTES_PER_UNIT).unwrap_or(u32::MAX);
        let units = budget::FRAME_UNITS.saturating_add(bytes_units);
        let envelope = match Envelope::read(text) {
            Ok(envelope) => envelope,
            Err(refused) => {
                if self.charge(io, connection, client, None, units) {
                    self.error(io, connection, None, refused.code, &refused.message, None);
                }
                return;
            }
        };
        let id = envelope.id.as_deref();
        let command = Command::read(&envelope);
        let units = units.saturating_add(command.as_ref().map_or(0, units_of));
        if !self.is_unlimited(&command) && !self.charge(io, connection, client, id, units) {
            return;
        }
        match command {
            Ok(Command::Send(send)) => self.send(io, connection, client, id, send),
            Ok(Command::Amend(amend)) => self.amend(io, connection, client, id, amend),
            Ok(Command::Receipt(receipt)) => self.receipt(io, connection, client, id, receipt),
            Ok(Command::Typing(typing)) => self.typing(io, connection, client, id, typing),
            Ok(Command::SetPresence(PresenceSet { status, status_message })) => {
                let status_message = status_message.map(|text| text.trim().to_owned());
                self.presence(io, connection, client, id, PresenceWish::Set { status, status_message });
            }
            Ok(Command::Watch(users)) => {
                self.presence(io, connection, client, id, PresenceWish::Watch(users));
            }
            Ok(Command::Unwatch(users)) => {
                self.presence(io, connection, client, id, PresenceWish::Unwatch(users));
            }
            Ok(Command::Sync(sync)) => self.sync(io, connection, client, id, sync),
            Ok(Command::Auth(token)) => self.auth(io, connection, client, id, &token),
            Ok(Command::Ping(payload)) => {
                let pong = payload.map_or(Event::BarePong, Event::Pong);
                self.answer(io, connection, id, &pong);
            }
            Err(refused) => self.error(io, connection, id, refused.code, &refused.message, None),
        }
    }

    /// Whether it is a message or what amends one, and the operator has switched their limit off.
    fn is_unlimited<E>(&self, command: &Result<Command<'_>, E>) -> bool {
        self.config.limits.messages_per_second == 0
            && matches!(command, Ok(Command::Send(_) | Command::Amend(_)))
    }

    /// Takes from the user's budget. False: there is not enough, and the client is told so, or let go.
    fn charge(
        &mut self,
        io: &mut Io,
        connection: ConnectionId,
        client: &mut Client,
        id: Option<&str>,
        units: u32,
    ) -> bool {
        match client.budget.charge((&self.config.limits).into(), units, io.now()) {
            Charged::Granted => return true,
            Charged::Refused { retry_after_ms } => {
                add(&self.counters.rate_limited, 1);
                let sentence = "Too many requests in a short time; send it again after a pause.";
                self.error(io, connection, id, ErrorCode::RateLimited, sentence, Some(retry_after_ms));
            }
            Charged::Exhausted => {
                add(&self.counters.policy_closes, 1);
                self.let_go(io, connection, client, GoodbyeReason::Policy, CloseCode::Policy);
            }
        }
        false
    }

    fn send(
        &mut self,
        io: &mut Io,
        connection: ConnectionId,
        client: &mut Client,
        id: Option<&str>,
        send: Send<'_>,
    ) {
        let Some(origin) = self.admit_command(io, connection, client, id) else { return };
        let channel_id = send.channel_id;
        let record = records::Send {
            channel_id: channel_id.as_bytes().to_vec().into(),
            sender_id: client.user_id.as_bytes().to_vec().into(),
            client_id: send.client_id.as_bytes().to_vec().into(),
            content: send.content.into_owned(),
            content_type: content_type(send.content_type).into(),
            reply_to: send.reply_to.map_or(0, |id| id.0),
            metadata: send.metadata.to_owned(),
            sender: Some(records::Profile::clone(&client.profile)),
            origin: Some(origin),
        };
        self.hand_over(io, connection, client, id, channel_id, command::Body::Send(record));
    }

    fn amend(
        &mut self,
        io: &mut Io,
        connection: ConnectionId,
        client: &mut Client,
        id: Option<&str>,
        amend: Amend<'_>,
    ) {
        let Some(mut origin) = self.admit_command(io, connection, client, id) else { return };
        if amend.client_id.is_none() {
            // A rejection names what the client does.
            origin.frame_id = id.unwrap_or_default().into();
        }
        // Without a key of the client's own a retry is a request of its own.
        let client_id = amend.client_id.map_or_else(rand::random, |id| *id.as_bytes());
        let record = records::Amend {
            channel_id: amend.channel_id.as_bytes().to_vec().into(),
            sender_id: client.user_id.as_bytes().to_vec().into(),
            client_id: client_id.to_vec().into(),
            message_id: amend.message_id.0,
            sender: Some(records::Profile::clone(&client.profile)),
            origin: Some(origin),
            // Of a text with an `@` the node says whom it names.
            mentions: matches!(&amend.change, Change::Edit(text) if !mention::may_mention(text, ""))
                .then(records::Mentions::default),
            change: Some(amend.change.into_record()),
        };
        self.hand_over(io, connection, client, id, amend.channel_id, command::Body::Amend(record));
    }

    /// Whether one more command of the connection can go to the log, and what says where it came from.
    fn admit_command(
        &mut self,
        io: &mut Io,
        connection: ConnectionId,
        client: &mut Client,
        id: Option<&str>,
    ) -> Option<Origin> {
        let Some((slot, epoch)) = self.seat.filter(|_| !self.outgoing.is_full()) else {
            let sentence = "The server can't take the message now; send it again with the same id.";
            self.error(io, connection, id, ErrorCode::Unavailable, sentence, Some(1_000));
            return None;
        };
        if client.commands >= CONNECTION_COMMANDS_MAX {
            let sentence = "Too many messages of this connection wait to be acknowledged.";
            self.error(io, connection, id, ErrorCode::RateLimited, sentence, Some(1_000));
            return None;
        }
        client.commands += 1;
        add(&self.counters.sends, 1);
        Some(Origin { slot: u32::from(slot.0), epoch: epoch.0, ..Origin::default() })
    }

    fn hand_over(
        &mut self,
        io: &Io,
        connection: ConnectionId,
        client: &Client,
        id: Option<&str>,
        channel_id: ChannelId,
        body: command::Body,
    ) {
        let operation = match &body {
            command::Body::Amend(records::Amend { change: Some(change), .. }) => change.operation(true),
            _ => Operation::Send,
        };
        let may_mention = match &body {
            command::Body::Send(send) => mention::may_mention(&send.content, &send.metadata),
            command::Body::Amend(records::Amend { change: Some(amend::Change::Content(text)), .. }) => {
                mention::may_mention(text, "")
            }
            _ => false,
        };
        self.outgoing.push(ToNode::Submit(Submission {
            connection: self.reference(connection),
            frame_id: id.map(Into::into),
            user_id: client.user_id,
            channel_id,
            record: ringside_wire::encode(&records::Command { body: Some(body) }),
            known_member: self.index.is_member(client.user_id, channel_id),
            operation,
            taken_at: io.now(),
            may_mention,
        }));
    }

    fn sync(
        &mut self,
        io: &mut Io,
        connection: ConnectionId,
        client: &mut Client,
        id: Option<&str>,
        sync: Sync,
    ) {
        let wish = Wish { frame_id: id.map(Into::into), channels: sync.channels, limit: sync.limit };
        if !client.reader.get_or_insert_default().offer(wish) {
            let sentence = "Too many syncs wait; send the next one after a sync.done.";
            return self.error(io, connection, id, ErrorCode::RateLimited, sentence, Some(1_000));
        }
        self.read(io, connection, client);
    }

    /// A fresh token of the connection's own session: the connection lives on.
    fn auth(
        &mut self,
        io: &mut Io,
        connection: ConnectionId,
        client: &mut Client,
        id: Option<&str>,
        token: &str,
    ) {
        let time = self.time(io);
        let verified = self.verifier.verify(token, time);
        let refusal = match &verified {
            Ok(claims) if claims.sub == client.user_id && claims.sid == client.session_id => None,
            Ok(_) => {
                let sentence = "The access token belongs to another session; reconnect with it.";
                Some(("other_session", sentence.to_owned()))
            }
            Err(error @ TokenError::Invalid) => Some(("invalid_token", error.to_string())),
            Err(error @ TokenError::Expired) => Some(("expired_token", error.to_string())),
        };
        if let Some((reason, sentence)) = refusal {
            self.counters.count_auth_refusal(reason);
            let (address, account) = (self.peer(io, connection).map(tracing::field::display), client.user_id);
            tracing::info!(reason, address, %account, "an access token was refused");
            return self.error(io, connection, id, ErrorCode::Forbidden, &sentence, None);
        }
        let Ok(claims) = verified else { return };
        let expires_at = client.heartbeat.renew(claims.expires_at());
        self.set_timer(io, connection, client.heartbeat.next(io.now(), time));
        self.answer(io, connection, id, &Event::AuthOk(AuthOk { expires_at }));
    }

    /// What came of commands.
    pub(crate) fn answers(&mut self, io: &mut Io, answers: Vec<Answer>) {
        for Answer { token, frame_id, outcome, taken_at } in answers {
            let connection = ConnectionId::from_u64(token);
            let Some(client) = self.table.client(connection) else { continue };
            client.commands = client.commands.saturating_sub(1);
            if client.ending {
                continue;
            }
            match outcome {
                Outcome::Acknowledged => {
                    let us = io.now().saturating_duration_since(taken_at).as_micros();
                    self.counters.ack_seconds.record(u64::try_from(us).unwrap_or(u64::MAX), 1);
                    self.answer(io, connection, frame_id.as_deref(), &Event::Ack(Ack::RECEIVED));
                }
                Outcome::Refused { code, message, retry_after_ms } => {
                    self.error(io, connection, frame_id.as_deref(), code, message, retry_after_ms);
                }
            }
        }
    }

    /// Queues an event as the answer to the command `id`.
    pub(crate) fn answer(
        &mut self,
        io: &mut Io,
        connection: ConnectionId,
        id: Option<&str>,
        event: &Event<'_>,
    ) {
        if let Some(queue) = io.queue(connection) {
            frames::write(queue, &mut self.scratch, id, event);
        }
    }

    /// Queues `error`.
    pub(crate) fn error(
        &mut self,
        io: &mut Io,
        connection: ConnectionId,
        id: Option<&str>,
        code: ErrorCode,
        sentence: &str,
        retry_after_ms: Option<u64>,
    ) {
        let payload = ErrorPayload { code, message: sentence, retry_after_ms, channel_id: None };
        self.answer_error(io, connection, id, payload);
    }

    /// The same, whatever it is about.
    pub(crate) fn answer_error(
        &mut self,
        io: &mut Io,
        connection: ConnectionId,
        id: Option<&str>,
        payload: ErrorPayload<'_>,
    ) {
        add(&self.counters.errors, 1);
        self.answer(io, connection, id, &Event::Error(payload));
    }
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

fn content_type(kind: ContentType) -> records::ContentType {
    kind.into()
}
