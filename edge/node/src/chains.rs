//! The chains of the channels that this edge listens to: joins on their way to the log, events in their order, gaps.
//!
//! Nothing in here knows of users or connections. So a busy edge can cut it by partition of the log, one [`Chains`] for
//! some of the channels each.

use std::sync::Arc;
use std::time::Instant;

use ringside_application::backend::ReadAnswer;
use ringside_domain::feed::{Feed, GapRange, Output};
use ringside_edge_protocol::{ChannelEvent, ToShard};
use ringside_ports::EngineError;
use ringside_ports::log::Append;
use ringside_types::{BootTime, ChannelId, Epoch, MessageId, Slot, UserId};
use ringside_wire::records::{Effective, JoinAnswer, effective};
use ringside_wire::user_id;

use crate::config::EVENTS_BATCH_MAX;
use crate::counters::{Counters, add};
use crate::deliveries::Deliveries;
use crate::effect::Effect;
use crate::gaps::Gaps;
use crate::joins::Joins;
use crate::registry::ChannelInterest;

/// What other parts of the node have to know of what was handed on.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum HandedOn {
    Message {
        channel: ChannelId,
        id: MessageId,
        seq: u64,
        sender: UserId,
    },
    /// A channel's join was answered.
    Live(ChannelId),
}

/// The chains of one lease.
#[derive(Debug)]
pub(crate) struct Chains {
    feed: Feed,
    joins: Joins,
    gaps: Gaps,
    /// What the feed lets through, not handed on yet.
    out: Vec<Output>,
}

impl Chains {
    /// `partitions`: of `messages.send`.
    pub(crate) fn new(slot: Slot, epoch: Epoch, partitions: u16) -> Self {
        let joins = Joins::new(slot, epoch, partitions);
        Self { feed: Feed::default(), joins, gaps: Gaps::default(), out: Vec::new() }
    }

    pub(crate) fn len(&self) -> usize {
        self.feed.len()
    }

    /// The last record of a channel that was handed on; `None`: not listened to, or its join is not answered yet.
    pub(crate) fn last(&self, channel: ChannelId) -> Option<MessageId> {
        self.feed.last(channel)
    }

    /// The newest record of a channel that waits for a gap; zero: none does.
    pub(crate) fn waiting(&self, channel: ChannelId) -> MessageId {
        self.feed.waiting(channel)
    }

    /// Somebody here is a member of a channel, or no longer.
    pub(crate) fn listen(&mut self, now: Instant, change: ChannelInterest) {
        match change {
            ChannelInterest::Hold(channel) => {
                self.feed.hold(channel, now);
            }
            ChannelInterest::Release(channel) => self.feed.release(channel, now),
        }
    }

    /// How many batches of joins the log has.
    pub(crate) fn joined(&self) -> u64 {
        self.joins.appended()
    }

    /// The number of the batch with which everything that is listened to so far is in the log.
    pub(crate) fn latest_join(&self) -> u64 {
        self.joins.number_of_latest(&self.feed)
    }

    pub(crate) fn handle_joined(
        &mut self,
        now: Instant,
        number: u64,
        records: Vec<Append>,
        appended: Result<(), EngineError>,
    ) {
        self.joins.handle_appended(now, number, records, appended);
    }

    pub(crate) fn handle_event(&mut self, channel: ChannelId, event: Effective) {
        self.feed.handle_event(channel, event, &mut self.out);
    }

    pub(crate) fn handle_answer(&mut self, channel: ChannelId, answer: &JoinAnswer) {
        self.feed.handle_answer(channel, answer, &mut self.out);
    }

    pub(crate) fn handle_gaps(&mut self, now: Instant, ranges: Vec<GapRange>, answer: ReadAnswer) {
        for (range, found) in self.gaps.handle_read(now, ranges, answer) {
            self.feed.handle_gap(range, found, &mut self.out);
        }
    }

    /// Repeats joins, and leaves channels that nobody came back to.
    pub(crate) fn handle_tick(&mut self, now: Instant) {
        self.feed.handle_tick(now);
    }

    pub(crate) fn next_due(&self) -> Option<Instant> {
        self.joins.next_due().into_iter().chain(self.gaps.next_due()).min()
    }

    pub(crate) fn poll_effect(&mut self, now: Instant) -> Option<Effect> {
        self.joins.poll_append(now, &mut self.feed).or_else(|| self.gaps.poll_read(now))
    }

    /// Hands on to all shards what the feed let through: the same events, shared. Order within a channel is kept.
    pub(crate) fn flush(
        &mut self,
        fence: Option<BootTime>,
        deliveries: &mut Deliveries,
        counters: &Counters,
    ) -> Vec<HandedOn> {
        let (mut events, mut handed_on) = (Vec::new(), Vec::new());
        for output in std::mem::take(&mut self.out) {
            match output {
                Output::Deliver(channel_id, effective) => {
                    handed_on.extend(message_of(channel_id, &effective));
                    events.push(ChannelEvent { channel_id, effective });
                    if events.len() >= EVENTS_BATCH_MAX {
                        send(&mut events, fence, deliveries, counters);
                    }
                }
                Output::Live { channel_id, last } => {
                    send(&mut events, fence, deliveries, counters);
                    deliveries.send_to_all(|| ToShard::Live { channel_id, last });
                    handed_on.push(HandedOn::Live(channel_id));
                }
                Output::ReadGap(range) => {
                    add(&counters.gaps, 1);
                    self.gaps.push(range);
                }
            }
        }
        send(&mut events, fence, deliveries, counters);
        handed_on
    }
}

fn message_of(channel: ChannelId, effective: &Effective) -> Option<HandedOn> {
    let Some(effective::Event::Message(new)) = &effective.event else { return None };
    let sender = user_id(&new.sender_id).ok()?;
    Some(HandedOn::Message { channel, id: MessageId(effective.id), seq: effective.seq, sender })
}

fn send(
    events: &mut Vec<ChannelEvent>,
    fence: Option<BootTime>,
    deliveries: &mut Deliveries,
    counters: &Counters,
) {
    if events.is_empty() {
        return;
    }
    add(&counters.events, events.len());
    // A gap may be read while the fence is closed: a shard that gets it late closes its connections, and nothing is lost
    // for the clients, who sync.
    let valid_until = fence.unwrap_or_default();
    let events: Arc<[ChannelEvent]> = std::mem::take(events).into();
    deliveries.send_to_all(|| ToShard::Events { valid_until, events: events.clone() });
}
