//! The consumer of `messages.status`: it writes the registers, and tells the edges that have members of the channel.
//!
//! Registers only grow and members are told what they hold, so a record that is read twice does no harm: the offset is
//! committed after the work, and seldom.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use ringside_application::consumer::{self, Assignment, Handler, HandlerError, Rules, Subscription};
use ringside_clock::now;
use ringside_domain::rows::{DeliveredRow, InterestRow, Prefetch, Prefetched, ReadRow, Rows};
use ringside_ports::log::{Append, ReadLimit, Record};
use ringside_ports::people::relations::Relationships;
use ringside_ports::{EngineError, Log, MembershipReader, MessageStore};
use ringside_types::limits::{RECEIPTS_MEMBERS_MAX, TYPING_LIFE_MS};
use ringside_types::{ChannelId, Epoch, MessageId, Offset, PartitionId, Slot, Topic, UserId};
use ringside_wire::records::{EdgeBatch, EdgeItem, Receipt, Signals, Status, TypingSign, edge_item, signal};
use ringside_wire::{channel_id, user_id};
use tokio::sync::watch;

const GROUP: &str = "presence";
/// What one read takes.
const READ_LIMIT: ReadLimit = ReadLimit { records: 1_024, bytes: 1024 * 1024 };
/// How long one read waits for a record.
const READ_WAIT: Duration = Duration::from_secs(1);
/// Records between two commits; a restart reads so many again.
const COMMIT_EVERY: u64 = 256;
/// The pause after a failure.
const RETRY_PAUSE: Duration = Duration::from_secs(1);

/// Consumes the assigned partitions until `stop` turns true.
///
/// # Errors
/// Never: what fails is tried again.
pub async fn run<L: Log, S: MessageStore, D: MembershipReader + Relationships>(
    assigned: Assignment,
    log: L,
    store: S,
    directory: D,
    stop: watch::Receiver<bool>,
) -> Result<(), EngineError> {
    let subscription = Subscription {
        group: GROUP,
        topic: Topic::MessagesStatus,
        limit: READ_LIMIT,
        wait: READ_WAIT,
        rules: Rules { commit_every: COMMIT_EVERY, pause: RETRY_PAUSE, pause_max: RETRY_PAUSE },
    };
    let handler = StatusHandler { log: log.clone(), store, directory };
    consumer::run(subscription, log, handler, assigned, Arc::default(), stop).await
}

/// What is done with the records of `messages.status`.
#[derive(Debug, Clone)]
pub struct StatusHandler<L, S, D> {
    /// Where edges are told.
    pub log: L,
    pub store: S,
    /// Who is in a channel, and who may see what.
    pub directory: D,
}

impl<L: Log, S: MessageStore, D: MembershipReader + Relationships> Handler for StatusHandler<L, S, D> {
    type Partition = PartitionId;
    type Error = EngineError;

    /// Where it left off; what the log has removed since is past.
    async fn open(&self, partition: PartitionId) -> Result<(PartitionId, Offset), HandlerError<EngineError>> {
        let committed = self.log.committed(GROUP, Topic::MessagesStatus, partition).await?;
        let oldest = self.log.bounds(Topic::MessagesStatus, partition).await?.start;
        Ok((partition, committed.map_or(oldest, |commit| commit.offset.max(oldest))))
    }

    async fn handle(
        &self,
        partition: &mut PartitionId,
        records: Vec<Record>,
    ) -> Result<Offset, HandlerError<EngineError>> {
        let reached = records.last().map_or(Offset(0), |record| record.offset.next());
        let gathered = gather(records, now().0);
        let rows = rows_of(&gathered);
        if !(rows.reads.is_empty() && rows.delivered.is_empty()) {
            self.store.write_rows(*partition, &rows).await?;
        }
        let receipts = gathered.receipts.keys().map(|(channel, _)| *channel);
        let channels: BTreeSet<ChannelId> =
            receipts.chain(gathered.typing.iter().map(|(channel, _)| *channel)).collect();
        let wanted = Prefetch {
            interest: channels.into_iter().collect(),
            reads: gathered.receipts.keys().map(|(channel, user)| (*user, *channel)).collect(),
            ..Prefetch::default()
        };
        let loaded = self.store.load(&wanted).await?;
        let mut items = self.statuses(&gathered, &loaded).await?;
        items.extend(
            gathered.typing.into_iter().map(|(channel, sign)| (channel, edge_item::Body::Typing(sign))),
        );
        let appends = per_edge(items, &loaded.interest);
        if !appends.is_empty() {
            self.log.append(appends).await?;
        }
        Ok(reached)
    }
}

/// What a batch comes to, each pair once.
#[derive(Default)]
struct Gathered {
    receipts: BTreeMap<(ChannelId, UserId), Receipt>,
    /// In order: a stop must not overtake its start.
    typing: Vec<(ChannelId, TypingSign)>,
}

impl<L: Log, S: MessageStore, D: MembershipReader + Relationships> StatusHandler<L, S, D> {
    /// What members are told: the registers as they stand now.
    async fn statuses(
        &self,
        gathered: &Gathered,
        loaded: &Prefetched,
    ) -> Result<Vec<(ChannelId, edge_item::Body)>, EngineError> {
        let mut items = Vec::with_capacity(gathered.receipts.len());
        let mut members: Option<(ChannelId, Vec<UserId>)> = None;
        for (channel, user) in gathered.receipts.keys() {
            // Receipts are sorted by channel: its members are asked for once.
            if members.as_ref().is_none_or(|(of, _)| of != channel) {
                let listed = self.directory.members(*channel, None, RECEIPTS_MEMBERS_MAX + 1).await?;
                members = Some((*channel, listed.iter().map(|member| member.user_id).collect()));
            }
            let members = members.as_ref().map_or(&[][..], |(_, members)| members);
            let read = loaded.reads.iter().find(|row| (row.channel_id, row.user_id) == (*channel, *user));
            let delivered =
                loaded.delivered.iter().find(|row| (row.channel_id, row.user_id) == (*channel, *user));
            let last_read_id = read.map_or(MessageId::ZERO, |row| row.last_read_id);
            let last_delivered_id = delivered.map_or(MessageId::ZERO, |row| row.last_delivered_id);
            let hidden_from = self.hidden_from(*user, members).await?;
            let status = Status {
                user_id: user.as_bytes().to_vec().into(),
                last_delivered_id: last_delivered_id.max(last_read_id).0,
                last_read_id: last_read_id.0,
                own_devices_only: hidden_from.is_none(),
                hidden_from: bytes_of(hidden_from.unwrap_or_default()),
            };
            items.push((*channel, edge_item::Body::Status(status)));
        }
        Ok(items)
    }

    /// Members who must not see a user's receipts; `None`: nobody else may, or the channel is too large.
    ///
    /// Blocks and contacts are the same from both sides, so one question from the user's side answers for all members;
    /// what the user lets others see stands in their own settings.
    async fn hidden_from(
        &self,
        user: UserId,
        members: &[UserId],
    ) -> Result<Option<Vec<UserId>>, EngineError> {
        if members.len() > RECEIPTS_MEMBERS_MAX {
            return Ok(None);
        }
        let mut asked: Vec<UserId> = members.iter().copied().filter(|member| *member != user).collect();
        asked.push(user);
        let mut relationships = self.directory.relationships(user, &asked).await?;
        let Some(privacy) = relationships.pop().flatten().map(|own| own.privacy) else { return Ok(None) };
        asked.pop();
        let hidden = asked.into_iter().zip(relationships).filter(|(_, relationship)| {
            relationship.is_none_or(|relationship| {
                relationship.is_blocked_either_way() || !privacy.receipts.admits(relationship.is_contact)
            })
        });
        Ok(Some(hidden.map(|(member, _)| member).collect()))
    }
}

fn bytes_of(users: Vec<UserId>) -> Vec<Bytes> {
    users.into_iter().map(|user| user.as_bytes().to_vec().into()).collect()
}

/// Of each register the greatest, of each sign the order. What can't be read is passed over: an edge wrote it, and no
/// message hangs on it.
fn gather(records: Vec<Record>, now_ms: u64) -> Gathered {
    let mut gathered = Gathered::default();
    for record in records {
        let (offset, time) = (record.offset, record.time);
        let Ok(signals) = ringside_wire::decode::<Signals>(record.payload) else {
            tracing::error!(%offset, "a record of messages.status can't be read; it is passed over");
            continue;
        };
        for signal in signals.items {
            let (Ok(channel), Ok(user)) = (channel_id(&signal.channel_id), user_id(&signal.user_id)) else {
                tracing::error!(%offset, "a signal names no channel or no user; it is passed over");
                continue;
            };
            match signal.body {
                Some(signal::Body::Receipt(receipt)) => {
                    merge(gathered.receipts.entry((channel, user)).or_default(), &receipt);
                }
                // A sign that is older is over, and nobody is told.
                Some(signal::Body::Typing(is_typing)) if time.0 + TYPING_LIFE_MS > now_ms => {
                    let sign = TypingSign { user_id: signal.user_id, stopped: !is_typing };
                    gathered.typing.push((channel, sign));
                }
                Some(signal::Body::Typing(_)) | None => {}
            }
        }
    }
    gathered
}

fn merge(known: &mut Receipt, new: &Receipt) {
    if new.delivered_seq > known.delivered_seq {
        (known.delivered_id, known.delivered_seq) = (new.delivered_id, new.delivered_seq);
    }
    if new.read_seq > known.read_seq {
        (known.read_id, known.read_seq) = (new.read_id, new.read_seq);
    }
}

fn rows_of(gathered: &Gathered) -> Rows {
    let mut rows = Rows::default();
    for ((channel_id, user_id), receipt) in &gathered.receipts {
        let (channel_id, user_id) = (*channel_id, *user_id);
        if receipt.delivered_seq > 0 {
            let (last_delivered_id, last_delivered_seq) =
                (MessageId(receipt.delivered_id), receipt.delivered_seq);
            rows.delivered.push(DeliveredRow { user_id, channel_id, last_delivered_id, last_delivered_seq });
        }
        if receipt.read_seq > 0 {
            let (last_read_id, last_read_seq) = (MessageId(receipt.read_id), receipt.read_seq);
            rows.reads.push(ReadRow { user_id, channel_id, last_read_id, last_read_seq });
        }
    }
    rows
}

/// One record for each edge that has members of any of the channels. An epoch that is over reads nothing.
fn per_edge(items: Vec<(ChannelId, edge_item::Body)>, interest: &[InterestRow]) -> Vec<Append> {
    let mut batches: BTreeMap<(Slot, Epoch), EdgeBatch> = BTreeMap::new();
    for (channel, body) in items {
        let listening = interest.iter().filter(|row| row.channel_id == channel);
        let mut epochs: BTreeMap<Slot, &InterestRow> = BTreeMap::new();
        for row in listening {
            let newest = epochs.entry(row.slot).or_insert(row);
            if row.epoch > newest.epoch {
                *newest = row;
            }
        }
        for row in epochs.into_values().filter(|row| row.record_id != MessageId::ZERO) {
            let batch = batches.entry((row.slot, row.epoch)).or_default();
            batch.epoch = row.epoch.0;
            let channel_id = channel.as_bytes().to_vec().into();
            batch.items.push(EdgeItem { channel_id, body: Some(body.clone()) });
        }
    }
    let append = |((slot, _), batch): ((Slot, Epoch), EdgeBatch)| Append {
        topic: Topic::MessagesReceive,
        partition: slot.partition(),
        payload: ringside_wire::encode(&batch),
    };
    batches.into_iter().map(append).collect()
}
