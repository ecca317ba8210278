//! Receipts and typing, both ways: from the shards to `messages.status`, and from this edge's slot to the shards.

pub(crate) mod lookup;
mod receipts;
mod typing;

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::{Duration, Instant};

use ringside_edge_protocol::{ConnectionRef, Said, Signal, SignalRequest, ToShard};
use ringside_ports::log::Append;
use ringside_ports::{Log, MessageStore, Presence};
use ringside_types::authorization::Operation;
use ringside_types::{ChannelId, ErrorCode, MessageId, PartitionId, Topic, UserId, partition_of};
use ringside_wire::records::{self, Receipt, Signals, Status, signal};
use ringside_wire::{InvalidRecord, user_id};

use crate::config::{LOOKUPS_BATCH_MAX, LOOKUPS_WAITING_MAX, SIGNALS_BATCH_MAX, SIGNALS_WAITING_MAX};
use crate::counters::add;
use crate::presence::EdgeDirectory;
use crate::runner::Node;
use crate::standards::Standard;
use crate::work;
use lookup::{NOT_A_MEMBER, UNAVAILABLE, Verdict, message_of};
use receipts::{Receipts, Recent};
use typing::{Typing, Typists};

/// An edge that stops hands over the receipts that it holds within this time.
const LAST_WORDS: Duration = Duration::from_secs(2);

/// What an edge knows of receipts and typing.
#[derive(Debug, Default)]
pub(crate) struct Passing {
    receipts: Receipts,
    recent: Recent,
    typists: Typists,
    typing: Typing,
    /// They wait until the store and the Directory are asked.
    lookups: Vec<SignalRequest>,
    is_looking_up: bool,
    /// They wait until the append that is under way is confirmed.
    outgoing: Vec<records::Signal>,
    is_appending: bool,
    /// For the shards, at the end of the turn.
    told: Vec<Signal>,
}

impl Passing {
    /// A message was handed on: its place is known from here on, and its sender has stopped typing.
    pub(crate) fn message(&mut self, channel: ChannelId, id: MessageId, seq: u64, sender: UserId) {
        self.recent.push(channel, id, seq);
        self.typed(channel, sender, true);
    }

    /// What waits: to be looked up or appended, paced receipts, users who type.
    pub(crate) fn waiting(&self) -> [usize; 3] {
        [self.lookups.len() + self.outgoing.len(), self.receipts.len(), self.typists.len()]
    }

    /// When a receipt that is held must go, or somebody's typing may be over.
    pub(crate) fn next_due(&self) -> Option<Instant> {
        let typing = self.typists.next_due().into_iter().chain(self.typing.next_due());
        self.receipts.next_due().into_iter().chain(typing).min()
    }

    /// A sign of typing from the log.
    fn typed(&mut self, channel_id: ChannelId, user_id: UserId, stopped: bool) {
        let changed = if stopped {
            self.typing.end(channel_id, user_id)
        } else {
            self.typing.begin(channel_id, user_id, Instant::now())
        };
        if changed {
            self.tell_typing(channel_id, user_id);
        }
    }

    fn tell_typing(&mut self, channel_id: ChannelId, user_id: UserId) {
        let users = self.typing.users(channel_id);
        self.told.push(Signal::Typing { channel_id, user_id, users });
    }

    fn say_typing(&mut self, user: UserId, channel: ChannelId, is_typing: bool) {
        self.outgoing.push(signal_of(user, channel, signal::Body::Typing(is_typing)));
    }

    fn handle_time(&mut self, now: Instant) {
        self.receipts.handle_time(now);
        while let Some(((user, channel), is_typing)) = self.typists.poll_held(now) {
            self.say_typing(user, channel, is_typing);
        }
        self.typists.handle_time(now);
        while let Some((channel, user)) = self.typing.poll_over(now) {
            self.tell_typing(channel, user);
        }
    }

    fn gather(&mut self, receipts: Vec<((UserId, ChannelId), Receipt)>) {
        let signals = receipts
            .into_iter()
            .map(|((user, channel), receipt)| signal_of(user, channel, signal::Body::Receipt(receipt)));
        self.outgoing.extend(signals);
    }
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
        payload: ringside_wire::encode(&Signals { items }),
    };
    per_partition.into_iter().map(append).collect()
}

impl<L, S, D, P> Node<L, S, D, P>
where
    L: Log,
    S: MessageStore,
    D: EdgeDirectory,
    P: Presence,
{
    /// A receipt or a sign of typing from a shard. What the edge does not know itself is looked up.
    pub(crate) fn signal(&mut self, mut signal: SignalRequest) {
        let (user, channel) = (signal.user_id, signal.channel_id);
        signal.known_member |= self.roster.is_member(user, channel) == Some(true);
        if self.passing.outgoing.len() >= SIGNALS_WAITING_MAX {
            add(&self.counters.signals_refused, 1);
            return self.refuse_signal(signal, UNAVAILABLE);
        }
        let known = match message_of(signal.said) {
            Some(id) => self.passing.recent.seq(channel, id),
            None => Some(0),
        };
        match known.filter(|_| signal.known_member) {
            Some(seq) => self.count(&signal, seq),
            None if self.passing.lookups.len() >= LOOKUPS_WAITING_MAX => {
                add(&self.counters.signals_refused, 1);
                self.refuse_signal(signal, UNAVAILABLE);
            }
            None => self.passing.lookups.push(signal),
        }
    }

    pub(crate) fn looked_up(&mut self, judged: Vec<(SignalRequest, Verdict)>) {
        self.passing.is_looking_up = false;
        for (signal, verdict) in judged {
            match verdict {
                // Removed while the engines were asked.
                Ok(_) if self.roster.is_member(signal.user_id, signal.channel_id) == Some(false) => {
                    self.refuse_signal(signal, NOT_A_MEMBER);
                }
                Ok(seq) => self.count(&signal, seq),
                Err(refusal) => self.refuse_signal(signal, refusal),
            }
        }
    }

    fn count(&mut self, signal: &SignalRequest, seq: u64) {
        let SignalRequest { connection, user_id, channel_id, said, .. } = *signal;
        let (key, now) = ((user_id, channel_id), Instant::now());
        let passing = &mut self.passing;
        match said {
            Said::Delivered(id) | Said::Read(id) => {
                let is_read = matches!(said, Said::Read(_));
                if !passing.receipts.offer(key, id, seq, is_read, now) {
                    self.refuse_signal(signal.clone(), UNAVAILABLE);
                }
            }
            Said::Typing if self.standards.of(channel_id).is_some_and(Standard::is_closed) => {
                let refusal = (ErrorCode::Forbidden, Operation::WriteClosed.forbidden());
                self.refuse_signal(signal.clone(), refusal);
            }
            // Who seems to be away is not seen to type.
            Said::Typing if self.roster.seems_offline(user_id) => {}
            Said::Typing => {
                if passing.typists.start(key, connection, now) {
                    passing.say_typing(user_id, channel_id, true);
                }
            }
            Said::StoppedTyping => self.stopped_typing(user_id, channel_id),
        }
    }

    /// A user of this edge has stopped typing, or has sent what they typed.
    pub(crate) fn stopped_typing(&mut self, user: UserId, channel: ChannelId) {
        if self.passing.typists.stop((user, channel), Instant::now()) {
            self.passing.say_typing(user, channel, false);
        }
    }

    /// A connection is gone, and what was typed on it with it.
    pub(crate) fn typist_gone(&mut self, user: UserId, connection: ConnectionRef) {
        for channel in self.passing.typists.close(user, connection) {
            self.passing.say_typing(user, channel, false);
        }
    }

    fn refuse_signal(&mut self, signal: SignalRequest, (code, message): (ErrorCode, &'static str)) {
        let SignalRequest { connection, frame_id, .. } = signal;
        let refused = ToShard::SignalRefused { token: connection.token, frame_id, code, message };
        self.outbox.send(connection.shard, refused);
    }

    /// At the end of a turn: what is due goes, one read and one append at a time.
    pub(crate) fn pass_on(&mut self) {
        self.passing.handle_time(Instant::now());
        let passing = &mut self.passing;
        if !passing.is_looking_up && !passing.lookups.is_empty() {
            let count = passing.lookups.len().min(LOOKUPS_BATCH_MAX);
            let asked = passing.lookups.drain(..count).collect();
            passing.is_looking_up = true;
            self.work.push(Box::pin(work::look_up(self.engines.clone(), asked)));
        }
        let passing = &mut self.passing;
        let ready = passing.receipts.poll_ready();
        passing.gather(ready);
        if !passing.is_appending && !passing.outgoing.is_empty() {
            let count = passing.outgoing.len().min(SIGNALS_BATCH_MAX);
            let signals = passing.outgoing.drain(..count).collect();
            passing.is_appending = true;
            let appends = records_of(signals, self.engines.log.partitions(Topic::MessagesStatus));
            self.work.push(Box::pin(work::signals(self.engines.clone(), appends)));
        }
        self.hand_on_signals();
    }

    pub(crate) fn signals_appended(&mut self) {
        self.passing.is_appending = false;
    }

    fn hand_on_signals(&mut self) {
        if self.passing.told.is_empty() {
            return;
        }
        let signals: Arc<[Signal]> = std::mem::take(&mut self.passing.told).into();
        // As in `Events`: a shard that gets it late closes its connections. With the fence closed nothing is told.
        let Some(valid_until) = self.fence() else { return };
        self.outbox.send_to_all(|| ToShard::Signals { valid_until, signals: signals.clone() });
    }

    /// How far a member has come, from a partition.
    pub(crate) fn status(&mut self, channel_id: ChannelId, status: &Status) -> Result<(), InvalidRecord> {
        let hidden_from = status.hidden_from.iter().map(|user| user_id(user)).collect::<Result<_, _>>()?;
        self.passing.told.push(Signal::Status {
            channel_id,
            user_id: user_id(&status.user_id)?,
            last_delivered_id: MessageId(status.last_delivered_id),
            last_read_id: MessageId(status.last_read_id),
            own_devices_only: status.own_devices_only,
            hidden_from,
        });
        Ok(())
    }

    /// A sign of typing, from a partition.
    pub(crate) fn typing(&mut self, channel: ChannelId, user: UserId, stopped: bool) {
        self.passing.typed(channel, user, stopped);
    }

    /// The tenure ends: receipts that were held are handed over before.
    pub(crate) async fn last_words(&mut self) {
        let held = self.passing.receipts.take_all();
        self.passing.gather(held);
        let signals = std::mem::take(&mut self.passing.outgoing);
        let count = signals.len();
        let appends = records_of(signals, self.engines.log.partitions(Topic::MessagesStatus));
        if appends.is_empty() {
            return;
        }
        let appended = tokio::time::timeout(LAST_WORDS, self.engines.log.append(appends)).await;
        if !matches!(appended, Ok(Ok(_))) {
            tracing::warn!(signals = count, "the log did not confirm the last receipts of this edge");
        }
    }
}
