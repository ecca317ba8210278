//! Receipts and typing, both ways: from the shards to `messages.status`, and from this edge's slot to the shards.

mod receipts;
mod typing;

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Instant;

use ringside_application::backend::{AuthorizeAnswer, AuthorizeRequest, BackendError, Position};
use ringside_application::policy::ChannelPolicy;
use ringside_edge_protocol::{ConnectionRef, Signal, SignalKind, SignalRequest, ToShard};
use ringside_ports::EngineError;
use ringside_ports::log::Append;
use ringside_types::authorization::Operation;
use ringside_types::{BootTime, ChannelId, ErrorCode, MessageId, PartitionId, Topic, UserId, partition_of};
use ringside_wire::records::{self, Receipt, Status, signal};
use ringside_wire::{InvalidRecord, user_id};

use crate::config::{LOOKUPS_BATCH_MAX, LOOKUPS_WAITING_MAX, SIGNALS_BATCH_MAX, SIGNALS_WAITING_MAX};
use crate::counters::{Counters, add};
use crate::deliveries::Deliveries;
use crate::effect::{Batch, Effect, Question};
use crate::policies::ChannelPolicies;
use crate::registry::ConnectionRegistry;
use crate::retry::Retried;
use receipts::{Receipts, Recent};
use typing::{Typing, Typists};

/// A code, and a sentence that a person understands.
type RefusedSignal = (ErrorCode, &'static str);

const NOT_A_MEMBER: RefusedSignal = (ErrorCode::NotAMember, "You are not a member of this channel.");
const UNAVAILABLE: RefusedSignal = (ErrorCode::Unavailable, "The server can't take this now; send it again.");
const ABOVE_HEAD: RefusedSignal =
    (ErrorCode::BadRequest, "`message_id` is above the channel's last message.");
const NO_MESSAGE: RefusedSignal = (ErrorCode::NotFound, "There is no such message in this channel.");

/// What signals are judged by.
pub(crate) struct Known<'a> {
    pub(crate) registry: &'a ConnectionRegistry,
    pub(crate) policies: &'a ChannelPolicies,
}

/// Receipts and typing on one edge.
#[derive(Debug)]
pub(crate) struct Signals {
    /// Partitions of `messages.status`.
    partitions: u16,
    receipts: Receipts,
    recent: Recent,
    typists: Typists,
    typing: Typing,
    /// They wait until the backend is asked.
    lookups: Vec<SignalRequest>,
    is_looking_up: bool,
    /// They wait until the append that is under way is confirmed.
    outgoing: Vec<records::Signal>,
    appending: Retried<Vec<Append>>,
    /// For the shards, at the end of the turn.
    told: Vec<Signal>,
}

impl Signals {
    /// `partitions`: of `messages.status`.
    pub(crate) fn new(partitions: u16) -> Self {
        Self {
            partitions,
            receipts: Receipts::default(),
            recent: Recent::default(),
            typists: Typists::default(),
            typing: Typing::default(),
            lookups: Vec::new(),
            is_looking_up: false,
            outgoing: Vec::new(),
            appending: Retried::Idle,
            told: Vec::new(),
        }
    }

    /// A message was handed on: its position is known from here on, and its sender has stopped typing.
    pub(crate) fn message(
        &mut self,
        now: Instant,
        channel: ChannelId,
        id: MessageId,
        seq: u64,
        sender: UserId,
    ) {
        self.recent.push(channel, id, seq);
        self.typing(now, channel, sender, true);
    }

    /// What waits: to be looked up or appended, paced receipts, users who type.
    pub(crate) fn waiting(&self) -> [usize; 3] {
        [self.lookups.len() + self.outgoing.len(), self.receipts.len(), self.typists.len()]
    }

    /// When a receipt that is held must go, somebody's typing may be over, or an append is tried again.
    pub(crate) fn next_due(&self) -> Option<Instant> {
        let typing = self.typists.next_due().into_iter().chain(self.typing.next_due());
        self.receipts.next_due().into_iter().chain(typing).chain(self.appending.next_due()).min()
    }

    /// A sign of typing, from a partition.
    pub(crate) fn typing(&mut self, now: Instant, channel_id: ChannelId, user_id: UserId, stopped: bool) {
        let changed = if stopped {
            self.typing.end(channel_id, user_id)
        } else {
            self.typing.begin(channel_id, user_id, now)
        };
        if changed {
            self.tell_typing(channel_id, user_id);
        }
    }

    fn tell_typing(&mut self, channel_id: ChannelId, user_id: UserId) {
        let users = self.typing.users(channel_id);
        self.told.push(Signal::Typing { channel_id, user_id, users });
    }

    /// How far a member has come, from a partition.
    pub(crate) fn status(&mut self, channel_id: ChannelId, status: &Status) -> Result<(), InvalidRecord> {
        let hidden_from = status.hidden_from.iter().map(|user| user_id(user)).collect::<Result<_, _>>()?;
        self.told.push(Signal::Status {
            channel_id,
            user_id: user_id(&status.user_id)?,
            last_delivered_id: MessageId(status.last_delivered_id),
            last_read_id: MessageId(status.last_read_id),
            own_devices_only: status.own_devices_only,
            hidden_from,
        });
        Ok(())
    }

    /// A receipt or a sign of typing from a shard. What the edge does not know itself is looked up.
    pub(crate) fn offer(
        &mut self,
        now: Instant,
        mut signal: SignalRequest,
        known: &Known<'_>,
        deliveries: &mut Deliveries,
        counters: &Counters,
    ) {
        let (user, channel) = (signal.user_id, signal.channel_id);
        signal.known_member |= known.registry.is_member(user, channel) == Some(true);
        if self.outgoing.len() >= SIGNALS_WAITING_MAX {
            add(&counters.signals_refused, 1);
            return refuse(deliveries, signal, UNAVAILABLE);
        }
        let position = match message_of(signal.kind) {
            Some(id) => self.recent.seq(channel, id),
            None => Some(0),
        };
        match position.filter(|_| signal.known_member) {
            Some(seq) => self.count(now, signal, seq, known, deliveries),
            None if self.lookups.len() >= LOOKUPS_WAITING_MAX => {
                add(&counters.signals_refused, 1);
                refuse(deliveries, signal, UNAVAILABLE);
            }
            None => self.lookups.push(signal),
        }
    }

    /// Asks about those that wait, one question at a time.
    pub(crate) fn poll_question(&mut self) -> Option<Effect> {
        if self.is_looking_up || self.lookups.is_empty() {
            return None;
        }
        self.is_looking_up = true;
        let count = self.lookups.len().min(LOOKUPS_BATCH_MAX);
        let asked: Vec<SignalRequest> = self.lookups.drain(..count).collect();
        let unknown = asked.iter().filter(|signal| !signal.known_member);
        let members = unknown.map(|signal| (signal.channel_id, signal.user_id)).collect();
        let named = asked.iter().filter_map(|signal| Some((signal.channel_id, message_of(signal.kind)?)));
        let request = AuthorizeRequest { members, positions: named.collect(), ..Default::default() };
        Some(Effect::Authorize(Question::Signals(asked), request))
    }

    /// The backend has said whose signals count, and where their messages stand; or it could not.
    pub(crate) fn handle_looked_up(
        &mut self,
        now: Instant,
        asked: Vec<SignalRequest>,
        answered: Result<AuthorizeAnswer, BackendError>,
        known: &Known<'_>,
        deliveries: &mut Deliveries,
    ) {
        self.is_looking_up = false;
        let answer = match answered {
            Ok(answer) => answer,
            Err(error) => {
                tracing::warn!(%error, signals = asked.len(), "receipts could not be looked up");
                return asked.into_iter().for_each(|signal| refuse(deliveries, signal, UNAVAILABLE));
            }
        };
        let (mut members, mut positions) = (answer.members.into_iter(), answer.positions.into_iter());
        for signal in asked {
            let is_member = signal.known_member || members.next() == Some(true);
            let position = message_of(signal.kind).map(|_| positions.next().unwrap_or(Position::Unknown));
            // Removed while the backend was asked.
            let is_removed = known.registry.is_member(signal.user_id, signal.channel_id) == Some(false);
            match position {
                _ if !is_member || is_removed => refuse(deliveries, signal, NOT_A_MEMBER),
                None => self.count(now, signal, 0, known, deliveries),
                Some(Position::At(seq)) => self.count(now, signal, seq, known, deliveries),
                Some(Position::AboveHead) => refuse(deliveries, signal, ABOVE_HEAD),
                Some(Position::Unknown) => refuse(deliveries, signal, NO_MESSAGE),
            }
        }
    }

    fn count(
        &mut self,
        now: Instant,
        signal: SignalRequest,
        seq: u64,
        known: &Known<'_>,
        deliveries: &mut Deliveries,
    ) {
        let SignalRequest { connection, user_id, channel_id, kind, .. } = signal;
        let key = (user_id, channel_id);
        match kind {
            SignalKind::Delivered(id) | SignalKind::Read(id) => {
                let is_read = matches!(kind, SignalKind::Read(_));
                if !self.receipts.offer(key, id, seq, is_read, now) {
                    refuse(deliveries, signal, UNAVAILABLE);
                }
            }
            SignalKind::Typing if known.policies.of(channel_id).is_some_and(is_closed) => {
                refuse(deliveries, signal, (ErrorCode::Forbidden, Operation::WriteClosed.forbidden()));
            }
            // Who seems to be away is not seen to type.
            SignalKind::Typing if known.registry.seems_offline(user_id) => {}
            SignalKind::Typing => {
                if self.typists.start(key, connection, now) {
                    self.say_typing(user_id, channel_id, true);
                }
            }
            SignalKind::StoppedTyping => self.stopped_typing(now, user_id, channel_id),
        }
    }

    /// A user of this edge has stopped typing, or has sent what they typed.
    pub(crate) fn stopped_typing(&mut self, now: Instant, user: UserId, channel: ChannelId) {
        if self.typists.stop((user, channel), now) {
            self.say_typing(user, channel, false);
        }
    }

    /// A connection is gone, or its user seems to be: what was typed on it ends.
    pub(crate) fn typist_gone(&mut self, user: UserId, connection: ConnectionRef) {
        for channel in self.typists.close(user, connection) {
            self.say_typing(user, channel, false);
        }
    }

    fn say_typing(&mut self, user: UserId, channel: ChannelId, is_typing: bool) {
        self.outgoing.push(signal_of(user, channel, signal::Body::Typing(is_typing)));
    }

    pub(crate) fn handle_timeout(&mut self, now: Instant) {
        self.receipts.handle_time(now);
        while let Some(((user, channel), is_typing)) = self.typists.poll_held(now) {
            self.say_typing(user, channel, is_typing);
        }
        self.typists.handle_time(now);
        while let Some((channel, user)) = self.typing.poll_over(now) {
            self.tell_typing(channel, user);
        }
    }

    /// The next append of what is due, or the one that failed.
    pub(crate) fn poll_append(&mut self, now: Instant) -> Option<Effect> {
        let ready = self.receipts.poll_ready();
        self.gather(ready);
        let appends = match self.appending.poll(now) {
            Some(appends) => appends,
            None if !self.appending.is_idle() || self.outgoing.is_empty() => return None,
            None => {
                let count = self.outgoing.len().min(SIGNALS_BATCH_MAX);
                let signals = self.outgoing.drain(..count).collect();
                self.appending.begin();
                records_of(signals, self.partitions)
            }
        };
        Some(Effect::Append(Batch::Signals(appends.clone()), appends))
    }

    /// Receipts and typing are in the log, or not confirmed.
    pub(crate) fn handle_appended(
        &mut self,
        now: Instant,
        records: Vec<Append>,
        appended: Result<(), EngineError>,
    ) {
        self.appending.handle_appended(now, records, appended, "receipts");
    }

    fn gather(&mut self, receipts: Vec<((UserId, ChannelId), Receipt)>) {
        let signals = receipts
            .into_iter()
            .map(|((user, channel), receipt)| signal_of(user, channel, signal::Body::Receipt(receipt)));
        self.outgoing.extend(signals);
    }

    /// Tells the shards what members are to be told. With the fence closed nobody is told.
    pub(crate) fn flush(&mut self, fence: Option<BootTime>, deliveries: &mut Deliveries) {
        if self.told.is_empty() {
            return;
        }
        let signals: Arc<[Signal]> = std::mem::take(&mut self.told).into();
        let Some(valid_until) = fence else { return };
        deliveries.send_to_all(|| ToShard::Signals { valid_until, signals: signals.clone() });
    }

    /// Everything that was held: the edge stops.
    pub(crate) fn take_all(&mut self) -> Vec<Append> {
        let mut all = self.appending.take_waiting().unwrap_or_default();
        let held = self.receipts.take_all();
        self.gather(held);
        all.extend(records_of(std::mem::take(&mut self.outgoing), self.partitions));
        all
    }
}

fn is_closed(policy: &ChannelPolicy) -> bool {
    policy.is_closed
}

/// The message that a signal names.
fn message_of(kind: SignalKind) -> Option<MessageId> {
    match kind {
        SignalKind::Delivered(id) | SignalKind::Read(id) => Some(id),
        SignalKind::Typing | SignalKind::StoppedTyping => None,
    }
}

fn refuse(deliveries: &mut Deliveries, signal: SignalRequest, (code, message): RefusedSignal) {
    let SignalRequest { connection, frame_id, .. } = signal;
    let refused = ToShard::SignalRefused { token: connection.token, frame_id, code, message };
    deliveries.send(connection.shard, refused);
}

fn signal_of(user: UserId, channel: ChannelId, body: signal::Body) -> records::Signal {
    records::Signal {
        channel_id: channel.as_bytes().to_vec().into(),
        user_id: user.as_bytes().to_vec().into(),
        body: Some(body),
    }
}

/// One record for the signals of each partition.
fn records_of(signals: Vec<records::Signal>, partitions: u16) -> Vec<Append> {
    let mut per_partition: BTreeMap<u16, Vec<records::Signal>> = BTreeMap::new();
    for signal in signals {
        // The ids are this edge's own, so they can be read.
        let Ok(channel) = ringside_wire::channel_id(&signal.channel_id) else { continue };
        per_partition.entry(partition_of(channel, partitions).0).or_default().push(signal);
    }
    let append = |(partition, items)| Append {
        topic: Topic::MessagesStatus,
        partition: PartitionId(partition),
        payload: ringside_wire::encode(&records::Signals { items }),
    };
    per_partition.into_iter().map(append).collect()
}
